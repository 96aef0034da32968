import { afterAll, beforeAll, expect, test } from 'vitest'
import type { MoveContext } from '../../tiers/move/context.ts'
import { changeFence, closeRoom, openRoom, reopenRoom } from '../../tiers/move/fence.ts'
import { AS_MOVER, beginRead, beginWrite } from '../../tiers/move/side.ts'
import type { TestSystem } from '../support/system.ts'
import { startTwoClusters } from './support/two-clusters.ts'

let system: TestSystem
let seen: MoveContext
let goOn = () => {}
beforeAll(async () => {
  const tenants = [
    { slug: 'acme', tier: 'free', region: 'us' },
    { slug: 'other', tier: 'free', region: 'us' },
  ] as const
  system = await startTwoClusters(tenants, { moveSettings: { leaseMs: 30_000 } })
  const opened = await system.openTenants('us')
  for (const { slug } of tenants)
    await opened.session(slug).execute({ text: `insert into "{room}".tags (name) values ('mine')`, params: [] })
  const { moves } = system.control
  const held = new Promise<void>((resolve) => {
    goOn = resolve
  })
  const arrived = new Promise<void>((resolve) => {
    moves.run(async (point, ctx) => {
      if (point !== 'pass') return
      seen = ctx
      resolve()
      await held
    })
  })
  await moves.start({ tenant: 'acme', tier: 'pro', by: 'test' })
  await arrived
})
afterAll(async () => {
  goOn()
  await system?.close()
})

test('the mover’s role sees and writes the rows of its own tenant and no others', async () => {
  const client = await seen.source.another()
  const tags = seen.source.table('tags')
  await client.transaction(beginRead(seen.source), async () => {
    expect(await client.query(`select tenant_id from ${tags}`)).toEqual([{ tenant_id: seen.move.tenantId }])
  })
  const other = (await system.control.tenant('other')).id
  await expect(
    client.transaction(beginWrite(seen.source), () =>
      client.script(`${AS_MOVER}; insert into ${tags} values ('${other}', 1, 'x')`),
    ),
  ).rejects.toThrow(/row-level security/)
  await client.transaction(beginWrite(seen.source), async () => {
    await client.script(AS_MOVER)
    expect(await client.query(`delete from ${tags} where tenant_id = $1 returning id`, [other])).toEqual([])
  })
  await client.close()
})

test('a mover of an earlier generation can neither read, nor write, nor touch a fence', async () => {
  for (const side of [seen.source, seen.target]) {
    const admin = system.control.makerOf(side.placement.cluster).admin(side.placement.database)
    await admin`update tenancy.moves set generation = generation + 1 where id = ${side.move}`
    const client = await side.another()
    for (const begin of [beginRead(side), beginWrite(side)]) {
      await expect(client.transaction(begin, async () => {})).rejects.toMatchObject({ code: 'IK040' })
    }
    await expect(changeFence(side, { state: 'fenced' }, 100)).rejects.toMatchObject({ code: 'IK040' })
    await expect(reopenRoom(side)).rejects.toMatchObject({ code: 'IK040' })
    await expect(closeRoom(side)).rejects.toMatchObject({ code: 'IK040' })
    await expect(openRoom(side, 99, true)).rejects.toMatchObject({ code: 'IK040' })
    await admin`update tenancy.moves set generation = generation - 1 where id = ${side.move}`
    await client.close()
  }
})

test('a fence at another epoch is not changed', async () => {
  const wrong = { ...seen.source, placement: { ...seen.source.placement, epoch: 99 } }
  await expect(changeFence(wrong, { state: 'fenced' }, 200)).rejects.toMatchObject({ code: 'IK041' })
})

test('a second move of the tenant is refused while one lasts', async () => {
  await expect(system.control.moves.start({ tenant: 'acme', tier: 'enterprise', by: 'test' })).rejects.toMatchObject({
    code: 'conflict',
  })
})
