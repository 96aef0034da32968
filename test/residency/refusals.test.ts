import postgres from 'postgres'
import { afterAll, beforeAll, expect, test } from 'vitest'
import type { ConfigInput } from '../../config/index.ts'
import { copyFaults } from '../../tiers/residency/faults.ts'
import type { TestSystem } from '../support/system.ts'
import { PROFILES, reconfigured, startResidencySystem, withProfiles } from './support.ts'

let system: TestSystem
let directory: postgres.Sql
beforeAll(async () => {
  const tenants = [
    { slug: 'umbrella', tier: 'free', region: 'eu' },
    { slug: 'globex', tier: 'pro', region: 'eu' },
    { slug: 'acme', tier: 'free', region: 'us' },
  ] as const
  system = await startResidencySystem({ tenants })
  system.control.moves.run()
  directory = postgres(system.env.INNKEEPER_CONTROL_URL!, { max: 1 })
  await system.control.setResidency('umbrella', { profile: 'gdpr' })
  await system.control.setResidency('globex', { profile: 'paid', pinned: ['eu'] })
})
afterAll(async () => {
  await directory?.end()
  await system?.close()
})

const violation = (details: RegExp) => ({
  code: 'residency_violation',
  details: expect.stringMatching(details),
  hint: expect.any(String),
})

test('a tenant is not onboarded where its profile forbids it, and nothing of it is left', async () => {
  const { control } = system
  const wanted = { slug: 'wayne', tier: 'free', region: 'us' }
  await expect(control.createTenant({ ...wanted, profile: 'gdpr' })).rejects.toMatchObject(violation(/region us/))
  await expect(control.createTenant({ ...wanted, pinned: ['eu'] })).rejects.toMatchObject(violation(/region us/))
  await expect(control.createTenant({ ...wanted, profile: 'paid' })).rejects.toMatchObject(violation(/tier free/))
  // Everything at once: the model, and what the servers lack.
  await expect(control.createTenant({ ...wanted, tier: 'pro', profile: 'strict' })).rejects.toMatchObject(
    violation(/tier pro: is of model schema/),
  )
  await expect(control.createTenant({ ...wanted, tier: 'enterprise', profile: 'strict' })).rejects.toMatchObject(
    violation(/cluster us-1.*tls is off.*storage is not stated/),
  )
  await expect(control.createTenant({ ...wanted, profile: 'nonsense' })).rejects.toMatchObject({ field: 'profile' })
  await expect(control.createTenant({ ...wanted, pinned: ['moon'] })).rejects.toMatchObject({ field: 'pinned' })
  await expect(control.createTenant({ ...wanted, pinned: [] })).rejects.toMatchObject({ field: 'pinned' })
  expect(await control.store.get('wayne')).toBeNull()
})

test('a change of tier or region and a move are refused with the reason, and the dry run names it', async () => {
  const { control } = system
  const before = await control.tenant('umbrella')
  const abroad = { tenant: 'umbrella', region: 'us' }
  const plan = await control.moves.plan(abroad)
  expect(plan.refusals).toMatchObject([{ object: 'region us', fault: expect.stringContaining('eu only') }])
  await expect(control.moves.start({ ...abroad, by: 'test' })).rejects.toMatchObject(violation(/region us/))
  // Its profile asks for a paid tier: neither a change of limits nor a move leads out of them.
  await expect(control.moves.start({ tenant: 'globex', tier: 'free', by: 'test' })).rejects.toMatchObject(
    violation(/tier free/),
  )
  const limits = await reconfigured(system, (i) => ({ ...i, tiers: { ...i.tiers, starter: { isolation: 'schema' } } }))
  await expect(limits.setTier('globex', 'starter')).rejects.toMatchObject(violation(/tier starter/))
  await expect(limits.moves.start({ tenant: 'globex', tier: 'starter', by: 'test' })).rejects.toMatchObject(
    violation(/tier starter/),
  )
  await limits.close()
  expect(await control.moves.list()).toEqual([])
  expect(await control.tenant('umbrella')).toEqual(before)
})

test('requests that may not pass through another region are not let through by an away policy of their own', async () => {
  const { control } = system
  await expect(control.setAway('umbrella', 'forward')).rejects.toMatchObject(violation(/pass through/))
  await expect(control.setAway('globex', 'forward')).rejects.toMatchObject(violation(/pass through/))
  expect(await control.setAway('umbrella', 'redirect')).toMatchObject({ away: 'redirect' })
  await control.setAway('acme', 'forward')
  await expect(control.setResidency('acme', { pinned: ['us'] })).rejects.toMatchObject(violation(/away forward/))
  await control.setAway('acme', null)
})

test('an operator sees no rows of a kept tenant through a control plane that stands elsewhere, or nowhere', async () => {
  const umbrella = await system.control.tenant('umbrella')
  expect(() => system.control.assertSession(umbrella, null)).toThrow(
    expect.objectContaining(violation(/control\.region/)),
  )
  for (const [region, isLet] of [
    ['us', false],
    ['eu', true],
  ] as const) {
    const control = await reconfigured(system, (i) => ({ ...i, control: { ...i.control, region } }))
    const session = () => control.assertSession(umbrella, null)
    if (isLet) expect(session).not.toThrow()
    else expect(session).toThrow(expect.objectContaining(violation(/in us/)))
    const audited = { ...umbrella, profile: 'strict' }
    const reason = expect.objectContaining(violation(/gives no reason/))
    expect(() => control.assertSession(audited, null)).toThrow(reason)
    await control.close()
  }
})

test('a backup or an export is refused where it would be kept elsewhere, or for too long, or in clear', async () => {
  const { config } = system
  const umbrella = await system.control.tenant('umbrella')
  const copy = { what: 'backup', region: 'eu', retentionDays: 90, isEncrypted: false } as const
  const faults = (change: object, profile = 'gdpr') =>
    copyFaults(config, { ...umbrella, profile }, { ...copy, ...change }).map((f) => f.fault)
  expect(faults({})).toEqual([])
  expect(faults({ region: 'us', retentionDays: 91 })).toEqual([
    expect.stringContaining('us'),
    expect.stringContaining('91 days'),
  ])
  expect(faults({ region: 'us' }, 'strict')).toEqual([expect.stringContaining('not encrypted')])
  expect(faults({ region: 'us', isEncrypted: true }, 'strict')).toEqual([])
  expect(faults({}, 'vanished')).toHaveLength(2)
  // What the operator states of a server's backups counts when a tenant comes to live there.
  const kept = await reconfigured(system, (i) => withBackups(i, [{ region: 'us', retentionDays: 365 }]))
  await expect(kept.createTenant({ slug: 'wayne', tier: 'free', region: 'eu', profile: 'gdpr' })).rejects.toMatchObject(
    violation(/backups of cluster eu-1: would be in us.*365 days/),
  )
  // A pin without a profile says as well where the data may be.
  await expect(kept.createTenant({ slug: 'wayne', tier: 'free', region: 'eu', pinned: ['eu'] })).rejects.toMatchObject(
    violation(/^backups of cluster eu-1: would be in us; its data may be in eu only$/),
  )
  await kept.close()
})

function withBackups(input: ConfigInput, backups: { region: string; retentionDays: number }[]): ConfigInput {
  const { eu } = input.regions
  return {
    ...input,
    regions: { ...input.regions, eu: { ...eu!, clusters: { 'eu-1': { ...eu!.clusters['eu-1']!, backups } } } },
  }
}

test('a tenant has to keep a profile before it is given it', async () => {
  const { control } = system
  await expect(control.setResidency('acme', { profile: 'gdpr' })).rejects.toMatchObject(violation(/region us/))
  const move = await control.moves.start({ tenant: 'acme', region: 'eu', by: 'test' })
  await control.moves.reached(move.id, 'watching')
  // It lives in eu, and its old room still holds its rows.
  await expect(control.setResidency('acme', { profile: 'gdpr' })).rejects.toMatchObject(violation(/region us/))
  await control.moves.complete(move.id)
  await control.moves.reached(move.id, 'completed')
  expect(await control.setResidency('acme', { profile: 'gdpr' })).toMatchObject({ profile: 'gdpr', pinned: null })
  expect(await control.setResidency('acme', { pinned: ['eu'] })).toMatchObject({ profile: 'gdpr', pinned: ['eu'] })
  expect(await control.setResidency('acme', { profile: null, pinned: null })).toMatchObject({ profile: null })
})

test('what is left of an earlier tier counts as long as a move may go back to it', async () => {
  const { control } = system
  await control.createTenant({ slug: 'initech', tier: 'free', region: 'us' })
  const move = await control.moves.start({ tenant: 'initech', tier: 'pro', by: 'test' })
  await control.moves.reached(move.id, 'watching')
  // Its rows still stand in the shared tables, among everybody's.
  await expect(control.setResidency('initech', { profile: 'paid' })).rejects.toMatchObject(violation(/tier free/))
  await control.moves.complete(move.id)
  await control.moves.reached(move.id, 'completed')
  expect(await control.setResidency('initech', { profile: 'paid' })).toMatchObject({ profile: 'paid' })
})

test('a profile that is not known allows nothing, until it is known again', async () => {
  const without = await reconfigured(system, (i) => withProfiles(i, { paid: PROFILES.paid as never }))
  const umbrella = await without.tenant('umbrella')
  await expect(without.moves.start({ tenant: 'umbrella', tier: 'pro', by: 'test' })).rejects.toMatchObject(
    violation(/profile gdpr: is not in the configuration/),
  )
  await expect(without.setAway('umbrella', 'forward')).rejects.toMatchObject({ code: 'residency_violation' })
  expect(() => without.assertSession(umbrella, 'why')).toThrow(/refused/)
  // A suspension is no matter of residency.
  expect(await without.suspend('umbrella')).toMatchObject({ status: 'suspended' })
  expect(await without.resume('umbrella')).toMatchObject({ status: 'active' })
  await expect(directory`update tenants set tier = 'pro' where slug = 'umbrella'`).rejects.toMatchObject({
    code: 'IK050',
  })
  await without.close()
  await (await reconfigured(system, (i) => i)).close()
  await directory`update tenants set tier = tier where slug = 'umbrella'`
})

test('the directory itself refuses what the control plane would have', async () => {
  const refused = { code: 'IK050' }
  await expect(directory`update tenants set region = 'us' where slug = 'umbrella'`).rejects.toMatchObject(refused)
  await expect(directory`update tenants set region = 'us' where slug = 'globex'`).rejects.toMatchObject(refused)
  await expect(directory`update tenants set tier = 'free' where slug = 'globex'`).rejects.toMatchObject(refused)
  await expect(directory`update tenants set away = 'forward' where slug = 'umbrella'`).rejects.toMatchObject(refused)
  await expect(directory`update tenants set profile = 'x' where slug = 'acme'`).rejects.toMatchObject(refused)
  const { id } = await system.control.tenant('globex')
  await expect(system.control.store.setTier(id, 'free')).rejects.toMatchObject({ code: 'residency_violation' })
})

test('a tenant that was brought home has no way back: its old room is emptied at once', async () => {
  const { control } = system
  const made = await control
    .createTenant({ slug: 'stray', tier: 'free', region: 'us', profile: 'paid' })
    .catch(() => null)
  expect(made).toBeNull()
  await control.createTenant({ slug: 'stray', tier: 'pro', region: 'us', profile: 'paid' })
  // The law has changed: what was allowed is allowed no more.
  const narrowed = await reconfigured(system, (i) =>
    withProfiles(i, { ...PROFILES, paid: { regions: ['eu'] } } as never),
  )
  narrowed.moves.run()
  await expect(narrowed.moves.start({ tenant: 'stray', tier: 'enterprise', by: 'test' })).rejects.toMatchObject(
    violation(/region us/),
  )
  const home = { tenant: 'stray', region: 'eu' }
  expect(await narrowed.moves.plan(home)).toMatchObject({ refusals: [], wayBack: false })
  const move = await narrowed.moves.start({ ...home, by: 'test' })
  const done = await narrowed.moves.reached(move.id, 'completed')
  expect(done).toMatchObject({ state: 'completed', certificate: { left: { rows: 0, notes: 0, fence: 0 } } })
  await expect(narrowed.moves.rollback(move.id)).rejects.toMatchObject(violation(/region us/))
  await narrowed.close()
})

test('where a tenant lived is written down by the directory, and nobody rewrites it', async () => {
  const homes = await directory`
    select region, tier, isolation, until_at is null as now from placement_history where slug = 'stray' order by id`
  expect([...homes]).toEqual([
    { region: 'us', tier: 'pro', isolation: 'schema', now: false },
    { region: 'eu', tier: 'pro', isolation: 'schema', now: true },
  ])
  const [{ gaps } = { gaps: -1 }] = await directory`
    select count(*)::int as gaps from (
      select until_at, lead(from_at) over (partition by tenant_id order by id) as next from placement_history
    ) h where until_at is distinct from next`
  expect(gaps).toBe(0)
  await system.control.offboard('stray')
  const [{ open } = { open: -1 }] = await directory`
    select count(*)::int as open from placement_history where slug = 'stray' and until_at is null`
  expect(open).toBe(0)
  for (const tampering of [
    directory`update placement_history set region = 'eu'`,
    directory`delete from placement_history`,
    directory`truncate placement_history`,
  ]) {
    await expect(tampering).rejects.toMatchObject({ code: 'IK051' })
  }
})

test('after a restore a tenant is not taken for at home where its residency forbids it, and the others are', async () => {
  const { control } = system
  for (const slug of ['lost', 'found']) {
    await control.createTenant({ slug, tier: 'free', region: 'us' })
    const { placement: before } = await control.tenant(slug)
    const move = await control.moves.start({ tenant: slug, region: 'eu', by: 'test' })
    await control.moves.reached(move.id, 'watching')
    await control.moves.complete(move.id)
    await control.moves.reached(move.id, 'completed')
    // As in a backup that is older than the move; and at that time one of them was pinned.
    await directory`update placements set cluster = ${before!.cluster}, epoch = ${before!.epoch}
      where tenant_id = (select id from tenants where slug = ${slug})`
    await directory`update tenants set region = 'us', pinned = ${slug === 'lost' ? ['us'] : null} where slug = ${slug}`
  }
  const { adopted, unclear } = await control.newIncarnation()
  expect(adopted.map((a) => a.tenant)).toEqual(['found'])
  expect(unclear).toEqual([expect.stringMatching(/^eu-1\/innkeeper_shared\/app .*lost.*pinned to/)])
  expect(await control.tenant('lost')).toMatchObject({ region: 'us', placement: { cluster: 'us-1' } })
  await control.setResidency('lost', { pinned: null })
  expect((await control.newIncarnation()).adopted.map((a) => a.tenant)).toEqual(['lost'])
})
