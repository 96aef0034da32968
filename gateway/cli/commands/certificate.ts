import { Command } from 'commander'
import { InnkeeperError } from '../../../tiers/errors.ts'
import type { MoveCertificate, StoredCertificate } from '../../../tiers/move/certificate.ts'
import { segment } from '../admin-client.ts'
import { cliOf } from '../cli.ts'
import { EXIT } from '../exit-codes.ts'
import type { SetExitCode } from '../program.ts'
import { faultOf, readSigned, type SignedFile } from '../signed-file.ts'
import { pairs, table } from '../table.ts'
import type { Terminal } from '../terminal.ts'

const HINT = 'Write one with: innkeeper moves certificate ID --json'

/** `innkeeper moves certificate`: what a move has left, to be read, kept, and checked where there is no network. */
export function certificateCommand(setExitCode: SetExitCode): Command {
  return new Command('certificate')
    .description('the signed certificate of a move that has ended; with --verify, checks one offline')
    .argument('[id]')
    .option('--verify <file>', 'check the file that --json has written; nobody is asked')
    .option('--key <text>', 'the key that must have signed it, as `innkeeper doctor` shows it')
    .action(async (id: string | undefined, { verify: file, key }, command: Command) => {
      const { terminal, admin } = cliOf(command)
      if ((id === undefined) === (file === undefined)) {
        throw new InnkeeperError('invalid_request', 'Name a move, or a file after --verify')
      }
      if (file !== undefined) return setExitCode(check(terminal, await readSigned<MoveCertificate>(file, HINT), key))
      const found = await (await admin()).call<StoredCertificate>('GET', `/moves/${segment(id!)}/certificate`)
      if (terminal.json) return terminal.data(found)
      show(terminal, found)
    })
}

function check(terminal: Terminal, found: SignedFile<MoveCertificate>, key: string | undefined): number {
  const fault = faultOf(found, 'innkeeper move certificate', key)
  if (terminal.json) terminal.data({ valid: fault === null, fault, keyId: found?.keyId ?? null })
  else if (fault === null) {
    terminal.out(`valid: signed by ${found.keyId}`)
    if (key === undefined) terminal.note('Compare the key with what `innkeeper doctor` shows, or name it with --key.')
  } else terminal.err(`not valid: ${fault}`)
  return fault === null ? EXIT.ok : EXIT.failed
}

function show(terminal: Terminal, { document, signature, keyId }: StoredCertificate): void {
  const { tenant, outcome, from, to, times, tables, scan, pauseMs, rows, comparedUnderFence } = document
  terminal.out(
    pairs(terminal, {
      move: document.move,
      tenant: `${tenant.slug} (${tenant.id})`,
      outcome,
      from: placeOf(from),
      to: placeOf(to),
      'asked by': `${document.askedBy}, ${times.asked}`,
      'ended by': document.endedBy,
      verified: times.verified,
      flipped: `${times.flipped ?? '-'}, requests waited ${pauseMs === null ? '-' : `${Math.round(pauseMs)} ms`}`,
      emptied: `${roomOf(document.emptied)}, ${times.emptied}`,
      'looked after it': times.scanned,
    }),
  )
  terminal.out(`\n${rows} rows, the same on both sides:`)
  terminal.out(
    table(
      terminal,
      ['table', 'rows', 'hash', 'same'],
      tables.map((t) => [t.table, t.rows, short(t.source), t.source === t.target ? 'yes' : 'NO']),
    ),
  )
  terminal.out(`${comparedUnderFence ?? 0} rows that changed after that were compared while nobody could write.`)
  terminal.out('\nlooked for what is left:')
  terminal.out(
    table(
      terminal,
      ['place', 'what', 'found'],
      scan.map((l) => [l.place, l.what, l.found]),
    ),
  )
  terminal.out(signature === null ? '\nnot signed: control.signingKey is not configured' : `\nsigned by ${keyId}`)
}

const placeOf = ({ tier, region, placement }: MoveCertificate['from']) =>
  `${tier} (${placement.isolation}) ${region}/${roomOf(placement)}, epoch ${placement.epoch}`
const roomOf = ({ cluster, database, schema }: MoveCertificate['emptied']) => `${cluster}/${database}/${schema}`
const short = (hash: string) => (hash.length > 24 ? `${hash.slice(0, 24)}...` : hash)
