import { Command, Option } from 'commander'
import type { KeyView } from '../../admin/views.ts'
import { segment } from '../admin-client.ts'
import { cliOf } from '../cli.ts'
import { collect, count } from '../options.ts'
import { allPages } from '../pages.ts'
import { table } from '../table.ts'

const DAY_MS = 24 * 3_600_000

export function keysCommand(): Command {
  const keys = new Command('keys').description("a tenant's API keys")

  keys
    .command('create')
    .description('make a key; its text is shown this once')
    .argument('<slug>')
    .option('--name <name>', 'what it is for')
    .addOption(
      new Option('--scope <scope>', 'read or write; may be given twice, both where left out').argParser(collect),
    )
    .option('--days <number>', 'how long it is good; for ever where left out', count)
    .option('--reason <text>', 'why, for the log')
    .action(async (slug: string, { name, scope: scopes, days, reason }, command: Command) => {
      const { terminal, admin } = cliOf(command)
      const expiresAt = days === undefined ? undefined : new Date(Date.now() + days * DAY_MS).toISOString()
      const key = await (await admin()).call<KeyView & { apiKey: string }>('POST', `/tenants/${segment(slug)}/keys`, {
        body: { name, scopes, expiresAt, reason },
      })
      if (terminal.json) return terminal.data(key)
      // The key alone is the result, so that `KEY=$(innkeeper keys create acme)` is all it takes.
      terminal.out(key.apiKey)
      terminal.note(`Key ${key.id} for ${key.scopes.join(' and ')}. Keep it now: nobody can show it again.`)
    })

  keys
    .command('list')
    .description('the newest first')
    .argument('<slug>')
    .option('--limit <number>', 'show this many at the most', count)
    .action(async (slug: string, { limit }, command: Command) => {
      const { terminal, admin } = cliOf(command)
      const wanted = { path: `/tenants/${segment(slug)}/keys`, name: 'keys', limit }
      const found = await allPages<KeyView>(await admin(), terminal, wanted)
      if (terminal.json) return terminal.data(found)
      if (found.length === 0) return terminal.note(`${slug} has no keys.`)
      const rows = found.map((k) => [k.id, k.name, k.scopes.join(','), k.status, k.createdAt, k.expiresAt])
      terminal.out(table(terminal, ['key', 'name', 'scopes', 'status', 'created', 'expires'], rows))
    })

  keys
    .command('revoke')
    .description('refuse a key from now on, within a second')
    .argument('<slug>')
    .argument('<id>', 'as `keys list` shows it')
    .option('--reason <text>', 'why, for the log')
    .action(async (slug: string, id: string, { reason }, command: Command) => {
      const { terminal, admin } = cliOf(command)
      const path = `/tenants/${segment(slug)}/keys/${segment(id)}`
      const key = await (await admin()).call<KeyView>('DELETE', path, { reason })
      if (terminal.json) return terminal.data(key)
      terminal.out(`key ${key.id} (${key.name}) is revoked`)
    })

  return keys
}
