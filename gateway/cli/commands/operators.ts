import { Argument, Command, Option } from 'commander'
import { ROLES } from '../../../tiers/operators/roles.ts'
import type { OperatorView } from '../../admin/operators.ts'
import { segment } from '../admin-client.ts'
import { cliOf } from '../cli.ts'
import { count } from '../options.ts'
import { allPages } from '../pages.ts'
import { table } from '../table.ts'

const DAY_MS = 24 * 3_600_000

export function operatorsCommand(): Command {
  const operators = new Command('operators').description('who may use the admin API, and as what')

  operators
    .command('create')
    .description('give somebody a token and a role; the token is shown this once')
    .argument('<name>')
    .addOption(new Option('--role <role>', 'what it may do').choices(ROLES).makeOptionMandatory())
    .option('--days <number>', 'how long the token is good; for ever where left out', count)
    .option('--reason <text>', 'why, for the audit log')
    .action(async (name: string, { role, days, reason }, command: Command) => {
      const { terminal, admin } = cliOf(command)
      const expiresAt = days === undefined ? undefined : new Date(Date.now() + days * DAY_MS).toISOString()
      const body = { name, role, expiresAt, reason }
      const made = await (await admin()).call<OperatorView & { token: string }>('POST', '/operators', { body })
      if (terminal.json) return terminal.data(made)
      // The token alone is the result, as with keys.
      terminal.out(made.token)
      terminal.note(`The token of ${name}, in the role ${role}. Keep it now: nobody can show it again.`)
    })

  operators
    .command('list')
    .description('by name')
    .option('--limit <number>', 'show this many at the most', count)
    .action(async ({ limit }, command: Command) => {
      const { terminal, admin } = cliOf(command)
      const wanted = { path: '/operators', name: 'operators', limit }
      const found = await allPages<OperatorView>(await admin(), terminal, wanted)
      if (terminal.json) return terminal.data(found)
      const rows = found.map((o) => [o.name, o.role, o.status, o.createdAt, o.expiresAt])
      terminal.out(table(terminal, ['operator', 'role', 'status', 'created', 'expires'], rows))
    })

  operators
    .command('revoke')
    .description('refuse the token from now on')
    .addArgument(new Argument('<name>', 'as `operators list` shows it'))
    .option('--reason <text>', 'why, for the audit log')
    .action(async (name: string, { reason }, command: Command) => {
      const { terminal, admin } = cliOf(command)
      const gone = await (await admin()).call<OperatorView>('DELETE', `/operators/${segment(name)}`, { reason })
      if (terminal.json) return terminal.data(gone)
      terminal.out(`${gone.name} is revoked`)
    })

  return operators
}
