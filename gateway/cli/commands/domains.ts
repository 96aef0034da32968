import { Command } from 'commander'
import { segment } from '../admin-client.ts'
import { cliOf } from '../cli.ts'

export function domainsCommand(): Command {
  const domains = new Command('domains').description("a tenant's own host names")

  domains
    .command('list')
    .argument('<slug>')
    .action(async (slug: string, _options, command: Command) => {
      const { terminal, admin } = cliOf(command)
      const found = await (await admin()).call<{ domains: string[] }>('GET', `/tenants/${segment(slug)}/domains`)
      if (terminal.json) return terminal.data(found.domains)
      for (const domain of found.domains) terminal.out(domain)
    })

  domains
    .command('add')
    .argument('<slug>')
    .argument('<domain>', 'a host name such as desk.example.com')
    .option('--reason <text>', 'why, for the log')
    .action(async (slug: string, domain: string, { reason }, command: Command) => {
      const { terminal, admin } = cliOf(command)
      const path = `/tenants/${segment(slug)}/domains`
      const added = await (await admin()).call('POST', path, { body: { domain, reason } })
      if (terminal.json) return terminal.data(added)
      terminal.out(`${domain} leads to ${slug}`)
    })

  domains
    .command('remove')
    .argument('<slug>')
    .argument('<domain>')
    .option('--reason <text>', 'why, for the log')
    .action(async (slug: string, domain: string, { reason }, command: Command) => {
      const { terminal, admin } = cliOf(command)
      const path = `/tenants/${segment(slug)}/domains/${segment(domain)}`
      const removed = await (await admin()).call('DELETE', path, { reason })
      if (terminal.json) return terminal.data(removed)
      terminal.out(`${domain} leads to ${slug} no longer`)
    })

  return domains
}
