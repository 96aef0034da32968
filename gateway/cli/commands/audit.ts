import { Command } from 'commander'
import type { AuditRecord } from '../../../tiers/audit/log.ts'
import type { AdminClient } from '../admin-client.ts'
import { cliOf } from '../cli.ts'
import { EXIT } from '../exit-codes.ts'
import { count } from '../options.ts'
import type { SetExitCode } from '../program.ts'
import { table } from '../table.ts'

const PAGE = 500

interface Proof {
  readonly ok: boolean
  readonly entries: number
  readonly head: string
  readonly faults: readonly { readonly seq: number; readonly fault: string }[]
}

export function auditCommand(setExitCode: SetExitCode): Command {
  const audit = new Command('audit').description('what operators did, and whether all of it is still written down')

  audit
    .command('list')
    .description('the newest first')
    .option('--tenant <slug>')
    .option('--actor <name>')
    .option('--action <action>', 'such as tenant.move')
    .option('--limit <number>', 'show this many at the most', count, 50)
    .action(async ({ limit, ...filter }, command: Command) => {
      const { terminal, admin } = cliOf(command)
      const found = await entries(await admin(), filter, limit)
      if (terminal.json) return terminal.data(found)
      if (found.length === 0) return terminal.note('There are no such entries.')
      const rows = found.map((e) => [
        e.seq,
        e.at,
        e.actor,
        e.role,
        e.action,
        e.tenant,
        e.outcome,
        changeOf(e),
        e.reason,
      ])
      terminal.out(table(terminal, ['no', 'at', 'who', 'role', 'what', 'tenant', 'outcome', 'change', 'why'], rows))
    })

  audit
    .command('verify')
    .description('compute the chain again: an entry that was changed or taken out is found')
    .option('--anchor <head>', 'the head that an earlier verification said: what came before must still be there')
    .action(async ({ anchor }, command: Command) => {
      const { terminal, admin } = cliOf(command)
      const query = anchor === undefined ? '' : `?anchor=${encodeURIComponent(anchor)}`
      const proof = await (await admin()).call<Proof>('GET', `/audit/proof${query}`)
      setExitCode(proof.ok ? EXIT.ok : EXIT.failed)
      if (terminal.json) return terminal.data(proof)
      for (const { seq, fault } of proof.faults) terminal.out(`${terminal.paint('red', 'fail')}  entry ${seq} ${fault}`)
      if (proof.ok) terminal.out(`${terminal.paint('green', 'ok')}  ${proof.entries} entries, none changed or missing`)
      terminal.out(`head  ${proof.head}`)
      terminal.note('Keep the head elsewhere: with --anchor it shows later that nothing before it was cut off.')
    })

  return audit
}

async function entries(admin: AdminClient, filter: Record<string, string>, limit: number): Promise<AuditRecord[]> {
  const found: AuditRecord[] = []
  const query = new URLSearchParams(filter)
  for (;;) {
    query.set('limit', String(Math.min(PAGE, limit - found.length)))
    const page = await admin.call<{ entries: AuditRecord[]; next: number | null }>('GET', `/audit?${query}`)
    found.push(...page.entries)
    if (page.next === null || found.length >= limit) return found
    query.set('before', String(page.next))
  }
}

/** Short values as they were and are; whatever is larger is for --json. */
function changeOf({ before, after, details, outcome }: AuditRecord): string | null {
  if (outcome === 'refused') return (details as { message?: string } | null)?.message ?? null
  if (before === null || after === null) return null
  const [was, is] = [before, after] as Record<string, unknown>[]
  const plain = (value: unknown) => (Array.isArray(value) ? value.join(',') : String(value ?? '-'))
  return Object.keys(is!)
    .filter((name) => name in was! && (typeof is![name] !== 'object' || is![name] === null || Array.isArray(is![name])))
    .filter((name) => plain(was![name]) !== plain(is![name]))
    .map((name) => `${name} ${plain(was![name])} -> ${plain(is![name])}`)
    .join(', ')
}
