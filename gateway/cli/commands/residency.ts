import { Command } from 'commander'
import type { TenantView } from '../../admin/views.ts'
import { segment } from '../admin-client.ts'
import { cliOf } from '../cli.ts'
import { collect } from '../options.ts'
import { pairs } from '../table.ts'

export function residencyCommand(): Command {
  const residency = new Command('residency').description("where a tenant's data may be, and the proof of where it is")

  residency
    .command('set')
    .description('say what a tenant is kept to, from now on; it has to keep it already')
    .argument('<slug>')
    .option('--profile <name>', "a profile of the configuration's, or none")
    .option('--pin <region>', 'the only region that its data may be in, or any; may be given several times', collect)
    .requiredOption('--reason <text>', 'why, for the audit log')
    .action(async (slug: string, { profile, pin, reason }, command: Command) => {
      const { terminal, admin } = cliOf(command)
      const tenant = await (await admin()).call<TenantView>('PATCH', `/tenants/${segment(slug)}/residency`, {
        body: { profile: profile === 'none' ? null : profile, pinned: pin?.[0] === 'any' ? null : pin, reason },
      })
      if (terminal.json) return terminal.data(tenant)
      const { profile: kept, pinned, region, away } = tenant
      terminal.out(pairs(terminal, { tenant: slug, profile: kept, pinned: pinned?.join(', '), region, away }))
    })

  return residency
}
