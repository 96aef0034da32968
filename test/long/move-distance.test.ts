import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { resolveConfig } from '../../config/index.ts'
import { type ControlPlane, openControlPlane } from '../../tiers/control/control-plane.ts'
import { startTwoClusters } from '../move/support/two-clusters.ts'
import type { TestSystem } from '../support/system.ts'

const PROXY = fileURLToPath(new URL('../bench/delay-proxy.ts', import.meta.url))
/** Each way. An attempt has one round trip at the least, which is longer than what is given to neighbours. */
const DELAY_MS = 140
const DEADLINE_MS = 250

let system: TestSystem
let proxy: ChildProcess
let far: Record<string, string>
beforeAll(async () => {
  system = await startTwoClusters([{ slug: 'acme', tier: 'free', region: 'us' }])
  const url = new URL(system.env.INNKEEPER_EU_1_ADMIN_URL!)
  proxy = spawn(process.execPath, [PROXY, url.port, String(DELAY_MS)], { stdio: ['pipe', 'pipe', 'inherit'] })
  const [port] = await once(proxy.stdout!, 'data')
  url.port = String(port).trim()
  far = { ...system.env, INNKEEPER_EU_1_ADMIN_URL: url.href }
})
afterAll(async () => {
  proxy?.kill('SIGKILL')
  await system?.close()
})

/** A control plane to which the second cluster is a continent away. */
async function moved(movingWaitMs: number): Promise<Awaited<ReturnType<ControlPlane['moves']['get']>>> {
  const config = resolveConfig({ ...system.input, pools: { movingWaitMs } }, { kind: 'control' }, far)
  const { migrationsFolder } = system
  const moveSettings = { deadlineMs: DEADLINE_MS, attemptsMax: 2, quarantineMs: 100, retryMs: 50 }
  const control = openControlPlane({ config, migrationsFolder, moveSettings })
  try {
    control.moves.run()
    const { placement } = await control.tenant('acme')
    const cluster = placement!.cluster === 'us-1' ? 'us-2' : 'us-1'
    const { id } = await control.moves.start({ tenant: 'acme', cluster, by: 'test' })
    return await control.moves.reached(id, 'watching')
  } finally {
    await control.close()
  }
}

test('a cut-over to a region far away may take as long as its round trips, but never longer than gateways wait', async () => {
  // Gateways that wait no longer leave no time for the way.
  const late = await moved(DEADLINE_MS)
  expect(late.state).toBe('aborted')
  expect(late.reason).toMatch(new RegExp(`longer than ${DEADLINE_MS} ms`))
  const move = await moved(60_000)
  expect(move, move.reason ?? '').toMatchObject({ state: 'watching' })
  expect(move.pauseMs).toBeGreaterThan(DEADLINE_MS)
}, 300_000)
