import { Argument, Command, Option } from 'commander'
import type { TenantView } from '../../admin/views.ts'
import { segment } from '../admin-client.ts'
import { type Cli, cliOf } from '../cli.ts'
import { confirm } from '../confirm.ts'
import { collect, count } from '../options.ts'
import { allPages } from '../pages.ts'
import type { SetExitCode } from '../program.ts'
import { pairs, table } from '../table.ts'
import { addMoveCommand } from './move.ts'

const POLICIES = ['forward', 'redirect', 'reject'] as const
const awayOption = (text: string) =>
  new Option('--away <policy>', `${text}; its tier's where left out`).choices(POLICIES)

export function tenantsCommand(setExitCode: SetExitCode): Command {
  const tenants = new Command('tenants').description('make, find and change tenants')

  tenants
    .command('create')
    .description('make a tenant with its room')
    .argument('<slug>', 'its name: lower-case letters, digits and dashes')
    .option('--region <name>', 'where it lives; needed where there are several regions')
    .option('--tier <name>', "its plan; the configuration's default where left out")
    .addOption(awayOption('what other regions do with its requests'))
    .option('--profile <name>', "what it is kept to: a residency profile of the configuration's")
    .option('--pin <region>', 'the only region that its data may be in; may be given several times', collect)
    .option('--domain <name>', 'a host name of its own; may be given several times', collect)
    .option('--idempotency-key <key>', 'makes a repeated call find the tenant of the first one')
    .option('--reason <text>', 'why, for the log')
    .action(async (slug: string, options, command: Command) => {
      const cli = cliOf(command)
      const { region, tier, away, profile, pin: pinned, domain: domains, reason, idempotencyKey } = options
      const admin = await cli.admin()
      const tenant = await admin.call<TenantView>('POST', '/tenants', {
        body: { slug, region, tier, away, profile, pinned, domains, reason },
        ...(idempotencyKey === undefined ? {} : { headers: { 'idempotency-key': idempotencyKey } }),
      })
      show(cli, tenant)
      cli.terminal.note(`\nIts first key: innkeeper keys create ${slug}`)
    })

  tenants
    .command('list')
    .description('list tenants by name')
    .option('--region <name>')
    .option('--tier <name>')
    .option('--status <status>', 'provisioning, active, suspended or offboarded')
    .option('--limit <number>', 'show this many at the most', count)
    .action(async (options, command: Command) => {
      const { terminal, admin } = cliOf(command)
      const { region, tier, status, limit } = options
      const wanted = { path: '/tenants', name: 'tenants', query: { region, tier, status }, limit }
      const found = await allPages<TenantView>(await admin(), terminal, wanted)
      if (terminal.json) return terminal.data(found)
      if (found.length === 0) return terminal.note('There are no such tenants.')
      const rows = found.map((t) => [
        t.slug,
        t.tier,
        t.isolation,
        t.region,
        paintStatus(terminal, t.status),
        t.placement?.cluster,
      ])
      terminal.out(table(terminal, ['tenant', 'tier', 'isolation', 'region', 'status', 'cluster'], rows))
    })

  tenants
    .command('show')
    .description('show one tenant')
    .argument('<slug>')
    .action(async (slug: string, _options, command: Command) => {
      const cli = cliOf(command)
      show(cli, await (await cli.admin()).call<TenantView>('GET', `/tenants/${segment(slug)}`))
    })

  change(tenants, 'suspend', 'refuse its requests until it is resumed', { status: 'suspended' })
  change(tenants, 'resume', 'serve a suspended tenant again', { status: 'active' })

  tenants
    .command('tier')
    .description('give it another tier of the same isolation model')
    .argument('<slug>')
    .argument('<tier>')
    .option('--reason <text>', 'why, for the log')
    .action(async (slug: string, tier: string, { reason }, command: Command) => {
      const cli = cliOf(command)
      const admin = await cli.admin()
      show(cli, await admin.call<TenantView>('PATCH', `/tenants/${segment(slug)}`, { body: { tier, reason } }))
    })

  addMoveCommand(tenants, setExitCode)

  tenants
    .command('set-away')
    .description("say what other regions' gateways do with its requests")
    .argument('<slug>')
    .addArgument(new Argument('<policy>', 'tier: what its tier says').choices([...POLICIES, 'tier']))
    .option('--reason <text>', 'why, for the log')
    .action(async (slug: string, policy: string, { reason }, command: Command) => {
      const cli = cliOf(command)
      const admin = await cli.admin()
      const body = { away: policy === 'tier' ? null : policy, reason }
      show(cli, await admin.call<TenantView>('PATCH', `/tenants/${segment(slug)}`, { body }))
    })

  tenants
    .command('offboard')
    .description('remove the tenant, its room and all of its data')
    .argument('<slug>')
    .option('--yes', 'do not ask')
    .option('--reason <text>', 'why, for the log')
    .action(async (slug: string, { yes, reason }, command: Command) => {
      const cli = cliOf(command)
      const admin = await cli.admin()
      // Found before anybody is asked about it.
      const path = `/tenants/${segment(slug)}`
      await admin.call<TenantView>('GET', path)
      await confirm(cli.terminal, `All data of ${slug} will be removed`, slug, yes === true)
      show(cli, await admin.call<TenantView>('DELETE', path, { reason }))
    })

  return tenants
}

function change(parent: Command, name: string, description: string, body: { status: string }): void {
  parent
    .command(name)
    .description(description)
    .argument('<slug>')
    .option('--reason <text>', 'why, for the log')
    .action(async (slug: string, { reason }, command: Command) => {
      const cli = cliOf(command)
      const admin = await cli.admin()
      show(cli, await admin.call<TenantView>('PATCH', `/tenants/${segment(slug)}`, { body: { ...body, reason } }))
    })
}

function show({ terminal }: Cli, tenant: TenantView): void {
  if (terminal.json) {
    terminal.data(tenant)
    return
  }
  const { slug, id, tier, isolation, region, status, away, profile, pinned, placement, domains, url, createdAt } =
    tenant
  terminal.out(
    pairs(terminal, {
      tenant: slug,
      id,
      tier: `${tier} (${isolation})`,
      region,
      status: paintStatus(terminal, status),
      away,
      profile,
      pinned: pinned?.join(', '),
      room:
        placement === null
          ? null
          : `${placement.cluster}/${placement.database}/${placement.schema}, epoch ${placement.epoch}`,
      domains: domains.join(', ') || null,
      url,
      created: createdAt,
    }),
  )
}

const COLOURS = { active: 'green', provisioning: 'cyan', suspended: 'yellow', offboarded: 'gray' } as const

function paintStatus(terminal: Cli['terminal'], status: TenantView['status']): string {
  return terminal.paint(COLOURS[status], status)
}
