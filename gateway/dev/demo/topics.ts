/** One thing that customers write about. `{x}` stands for a value that differs from ticket to ticket; see text.ts. */
export interface Case {
  readonly subject: string
  /** What the customer saw or wants: the beginning of the ticket's body. */
  readonly report: string
  /** What an agent writes when it is settled. */
  readonly answer: string
}

export interface Topic {
  readonly tag: string
  /** Whether something does not work, or something is asked for. */
  readonly kind: 'fault' | 'request'
  readonly cases: readonly Case[]
}

export const TOPICS: readonly Topic[] = [
  {
    tag: 'billing',
    kind: 'request',
    cases: [
      {
        subject: 'Charged twice for {invoice}',
        report: 'Our card was charged {amount} twice on {weekday}, and only one of the charges has an invoice.',
        answer: 'I have refunded {amount}; it should be back on your card within five working days.',
      },
      {
        subject: 'Wrong address on {invoice}',
        report: 'The invoice still shows our old address and VAT number, so accounting will not accept it.',
        answer: 'A corrected invoice is on its way to your billing contact.',
      },
      {
        subject: 'Cancelled seats are billed again',
        report: 'We cancelled {count} seats last month, and {invoice} has them again.',
        answer: 'The seats are off your plan now, and the difference is credited to the next invoice.',
      },
    ],
  },
  {
    tag: 'login',
    kind: 'fault',
    cases: [
      {
        subject: 'Cannot sign in since {weekday}',
        report: 'After the password the page comes back without any message, in a private window too.',
        answer: 'I have cleared the lock on your account; please try once more.',
      },
      {
        subject: 'Reset link has expired',
        report: 'The link to reset the password says that it has expired, although it came {count} minutes ago.',
        answer: 'A new link has been sent. It is good for one hour, and only the latest one counts.',
      },
      {
        subject: 'Single sign-on loops back to the login page',
        report: '{count} of us are sent to our identity provider and back again, without end.',
        answer: 'Your identity provider signs with a new certificate; it is trusted now.',
      },
    ],
  },
  {
    tag: 'delivery',
    kind: 'request',
    cases: [
      {
        subject: 'Where is {order}?',
        report: 'The tracking page of {order} has said "in transit" for {count} days.',
        answer: 'The carrier has found it and delivers it on {weekday}.',
      },
      {
        subject: '{order} arrived damaged',
        report: 'The box was open, and {count} of the items are scratched.',
        answer: 'Replacements leave our warehouse today, and you can keep the damaged items.',
      },
      {
        subject: 'New address for {order}',
        report: 'We have moved, and the order has to go to the new office or it will come back.',
        answer: 'The address is changed; the label had not been printed yet.',
      },
    ],
  },
  {
    tag: 'performance',
    kind: 'fault',
    cases: [
      {
        subject: 'Dashboard is slow since {weekday}',
        report: 'It needs {count} seconds for everybody in our office; last week it was instant.',
        answer: 'The slowness came from an import, which has finished in the meantime.',
      },
      {
        subject: 'Search times out',
        report: 'Searching for anything longer than a word ends with an error after half a minute.',
        answer: 'We have added an index for your largest list; search should feel quick again.',
      },
      {
        subject: 'Monthly report does not load',
        report: 'It stops at {count} percent and has to be started again.',
        answer: 'We found the query that held it up, and a fix goes out on {weekday}.',
      },
    ],
  },
  {
    tag: 'export',
    kind: 'fault',
    cases: [
      {
        subject: 'Export to CSV is empty',
        report: 'The file has the header line and nothing else, whatever dates I choose.',
        answer: 'The filter took your time zone for UTC; with this changed the rows are there.',
      },
      {
        subject: 'Accents are garbled in the export',
        report: 'Names such as Zoë and Łukasz come out as question marks in our spreadsheet.',
        answer: 'Exports begin with a byte order mark now, by which spreadsheets recognise UTF-8.',
      },
      {
        subject: 'Export of {weekday} is incomplete',
        report: 'It ends after about {count},000 rows, in the middle of a line.',
        answer: 'The connection was cut by a proxy. Large exports are now sent as a link instead.',
      },
    ],
  },
  {
    tag: 'integration',
    kind: 'fault',
    cases: [
      {
        subject: 'Webhooks are delivered twice',
        report: 'Our endpoint gets each event again within {count} seconds, with the same id.',
        answer: 'Your endpoint answers after our timeout, so the event is sent again; the id tells them apart.',
      },
      {
        subject: 'API answers 429 at night',
        report: 'The nightly sync of {count},000 records is refused at about two in the morning.',
        answer: 'I have raised your limit, and the Retry-After header tells your client when to go on.',
      },
      {
        subject: 'Chat integration stopped posting',
        report: 'Nothing has been posted to our channel since {weekday}.',
        answer: 'The connection had been revoked on your side; reconnecting it brings the messages back.',
      },
    ],
  },
  {
    tag: 'feature-request',
    kind: 'request',
    cases: [
      {
        subject: 'Dark mode for the console',
        report: 'Our night shift of {count} would be grateful for it.',
        answer: 'This is on our list for the next quarter; I have added your vote.',
      },
      {
        subject: 'Bulk edit of tickets',
        report: 'We change the same field on {count} tickets every {weekday}, one by one.',
        answer: 'There is a first version of it behind a switch, which I have turned on for you.',
      },
      {
        subject: 'Second approver for refunds',
        report: 'Policy asks us for two people on anything above {amount}.',
        answer: 'This makes sense. The product team will write to you with a few questions.',
      },
    ],
  },
  {
    tag: 'onboarding',
    kind: 'request',
    cases: [
      {
        subject: 'Import of contacts stops',
        report: 'The import of our spreadsheet stops at row {count} and does not say why.',
        answer: 'That row has two addresses in one cell; with one of them removed it goes through.',
      },
      {
        subject: 'Invite {count} colleagues',
        report: 'We would like to invite everybody at once rather than one by one.',
        answer: 'You can paste a list of addresses, one per line, and they are all invited.',
      },
      {
        subject: 'Training for new agents',
        report: 'Our new team of {count} starts on {weekday}. Is there a course, or a sandbox?',
        answer: 'I have opened a sandbox for you, and booked an hour on {weekday}.',
      },
    ],
  },
]
