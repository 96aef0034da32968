/** What follows the report in a ticket's body, by the kind of its topic. */
export const CIRCUMSTANCES = {
  fault: [
    'It happens every time.',
    'It comes and goes.',
    'We use {browser} on all machines.',
    'A colleague in another office sees the same.',
    'We have tried a different network, with the same result.',
    'It worked until {weekday}.',
    'Nothing was changed on our side.',
    'I have attached a screenshot.',
    'About {count} people are affected.',
    'For now we do without it.',
  ],
  request: [
    'Our team in the other office asks for the same.',
    'My colleague wrote to you about it on {weekday}, too.',
    'You can reach me by phone around {hour}.',
    'Our reference is {order}.',
    'For now we get by.',
    'I could not find anything about it in the help pages.',
  ],
} as const

/** The end of a ticket's body. */
export const CLOSINGS = [
  'Could you have a look, please?',
  'Please let us know what you need from us.',
  'Thank you in advance.',
  'We would be glad of an answer this week.',
  'This is rather urgent for us.',
  'No hurry, but we would like to know.',
] as const

/** What customers write back. */
export const REPLIES = [
  'Thank you for the quick answer.',
  'Any news on this?',
  'I have asked our IT; they see nothing unusual.',
  'Here is what you asked for: {order}, {browser}, around {hour}.',
  'I will check on {weekday} and come back to you.',
  'I am out of the office until {weekday}; please write to my colleague in the meantime.',
] as const

/** What agents ask or say before they have an answer. */
export const QUESTIONS = [
  'Thank you for writing. Could you tell me a little more about it?',
  'I am looking into it and will be back by {weekday}.',
  'I have passed this on to the right people and will keep you informed.',
  'Could you send the number of the order, or a screenshot?',
  'I can see it here as well. One moment, please.',
] as const

/** Tags that are about the handling, not about the topic. */
export const HANDLING_TAGS = ['vip', 'escalated', 'follow-up', 'duplicate', 'documentation', 'bug'] as const
