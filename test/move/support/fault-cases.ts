import { setTimeout as sleep } from 'node:timers/promises'
import { expect } from 'vitest'
import { isFinal } from '../../../tiers/move/states.ts'
import type { Move } from '../../../tiers/move/types.ts'
import { withAdmin } from '../../../tiers/pg/admin.ts'
import type { Isolation, Placement, TenantId } from '../../../tiers/types.ts'
import { BUSY } from '../../support/busy.ts'
import { waitUntil } from '../../support/wait.ts'
import type { Fault, FaultLab } from './fault-lab.ts'
import { expectNothingLeft, openFences } from './left.ts'
import { FAULTS_MAY, forgetLoads, startLoadOn } from './load.ts'
import { httpClient, interfaceClient } from './load-client.ts'
import { TIER_OF } from './two-clusters.ts'

export type Phase = 'move' | 'rollback' | 'completion' | 'abort'

export interface FaultCase {
  readonly fault: Fault
  readonly phase: Phase
  /** Where it happens. */
  readonly point: string
  readonly isolation: Isolation
}

/** Bounds a hang: on an idle machine the slowest take some seconds. */
const WITHIN_MS = 12_000 * BUSY

/**
 * Moves a tenant that is used through a gateway and the interface, and breaks something on the way. The move is done, or
 * the tenant is where it was; it has exactly one home, where it is served; what was acknowledged is there once, what was
 * refused is not; and nothing is left of the other room.
 */
export async function breakAndMend(lab: FaultLab, { fault, phase, point, isolation }: FaultCase): Promise<Move> {
  const { system } = lab
  const { moves } = system.control
  const tenants = await system.openTenants('us')
  const clients = [interfaceClient(tenants, 'acme'), httpClient(() => lab.gateway.url, 'acme', system.keyOf('acme'))]
  await patiently(() => forgetLoads(tenants, 'acme'))
  const load = await startLoadOn(tenants, 'acme', clients, { mayFail: FAULTS_MAY })
  const { id: tenant, placement } = await patiently(() => system.control.tenant('acme'))
  const before = placement!
  const cluster = before.cluster === 'us-1' ? 'us-2' : 'us-1'
  const start = () =>
    patiently(async () => {
      const [begun] = await moves.list({ tenantId: tenant, open: true })
      return begun ?? moves.start({ tenant: 'acme', tier: TIER_OF[isolation], cluster, by: 'test' })
    })
  let armed = phase === 'move' || phase === 'abort' ? lab.arm(point, fault) : null
  let stopped = false
  try {
    const { id, tenantId } = await start()
    const settled = (m: Move) =>
      isFinal(m.state) || (m.state === 'watching' && m.request === null && armed?.met() !== false)
    if (phase === 'abort') await patiently(() => moves.abort(id))
    let move = await ended(lab, id, settled)
    if (armed === null) {
      expect(move, move.reason ?? '').toMatchObject({ state: 'watching' })
      armed = lab.arm(point, fault)
      await moves[phase === 'rollback' ? 'rollback' : 'complete'](id)
      move = await ended(lab, id, settled)
    }
    expect(armed.met(), `${point} was met`).toBe(true)
    await armed.mended()
    if (move.state === 'watching') {
      expect(await homeOf(lab, tenantId)).toMatchObject({ ...move.to.placement })
      await patiently(() => moves.complete(id))
      move = await ended(lab, id, (m) => isFinal(m.state))
    }
    const home = await homeOf(lab, tenantId)
    expect(home).toMatchObject({ ...(move.state === 'completed' ? move.to : move.from).placement })
    await served(load.operations)
    stopped = true
    const report = await load.stop()
    expect(report.anomalies).toEqual([])
    expect(report.failures).toEqual([])
    const open = await patiently(() => openFences(system, tenantId))
    expect(open).toEqual([`${home.cluster}/${home.database} ${home.epoch}`])
    const other = (move.state === 'completed' ? move.from : move.to).placement
    await patiently(() => expectNothingLeft(system, other, tenantId))
    await expectNoBooks(lab, home, tenantId)
    return move
  } finally {
    await armed?.mended().catch(() => {})
    if (!stopped) await load.stop().catch(() => {})
    await tenants.close()
  }
}

/** The control database may be the one that died, and our own connections to a server be those that were ended. */
async function patiently<T>(work: () => Promise<T>): Promise<T> {
  const until = performance.now() + WITHIN_MS
  for (;;) {
    try {
      return await work()
    } catch (error) {
      const { name, code } = error as { name: string; code?: string }
      if (name === 'AssertionError' || code === 'conflict' || performance.now() > until) throw error
      await sleep(50)
    }
  }
}

async function ended(lab: FaultLab, id: string, isEnd: (move: Move) => boolean): Promise<Move> {
  const until = performance.now() + WITHIN_MS
  for (;;) {
    const move = await patiently(() => lab.system.control.moves.get(id))
    if (isEnd(move)) return move
    if (performance.now() > until)
      throw new Error(`the move is still ${move.state}: ${move.reason}, ${JSON.stringify(move.progress)}`)
    await sleep(30)
  }
}

async function homeOf({ system }: FaultLab, tenant: TenantId): Promise<Placement> {
  return (await patiently(() => system.control.tenant(tenant))).placement!
}

/** Every writer and reader has been answered again. */
async function served(operations: () => number): Promise<void> {
  const before = operations()
  await waitUntil('the tenant to be served', () => operations() > before + 60, WITHIN_MS)
}

/** Where the tenant lives, nothing of the mover's is left either, and nobody notes what it changes. */
async function expectNoBooks({ system }: FaultLab, home: Placement, tenant: TenantId): Promise<void> {
  const cluster = system.config.regions.get('us')!.secrets!.clusters.get(home.cluster)!
  const [books] = await withAdmin(
    cluster.adminUrl!,
    home.database,
    {},
    async (sql) => sql`
    select (select count(*)::int from tenancy.moves where tenant_id = ${tenant}) as moves,
      (select count(*)::int from tenancy.notes where tenant_id = ${tenant}) as notes,
      (select capture from tenancy.fence where tenant_id = ${tenant}) as capture`,
  )
  expect(books).toEqual({ moves: 0, notes: 0, capture: false })
}
