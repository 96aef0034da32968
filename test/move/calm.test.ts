import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, beforeAll, expect, test } from 'vitest'
import type { MoveRunner } from '../../tiers/move/runner.ts'
import type { TestSystem } from '../support/system.ts'
import { waitUntil } from '../support/wait.ts'
import { QUICK, startTwoClusters } from './support/two-clusters.ts'

/** After the flip the servers are left to the requests that waited: the mover does nothing for a while, unless it is asked to. */

let system: TestSystem
let runner: MoveRunner
const points: string[] = []
beforeAll(async () => {
  system = await startTwoClusters([{ slug: 'acme', tier: 'free', region: 'us' }], {
    moveSettings: { ...QUICK, calmMs: 3_600_000 },
  })
  runner = system.control.moves.run((point) => void points.push(point))
})
afterAll(async () => {
  await runner?.close()
  await system?.close()
})

/** Of movers, at both servers. */
async function connections(): Promise<string[]> {
  const found = await Promise.all(
    [...system.servers.values()].map(
      ({ server }) =>
        system.control.makerOf(server === system.servers.get('us')!.server ? 'us-1' : 'us-2').admin('postgres')<
          { pid: number; began: string }[]
        >`select pid, backend_start::text as began from pg_stat_activity where application_name like 'innkeeper-move-%'`,
    ),
  )
  return found.flat().map(({ pid, began }) => `${pid} ${began}`)
}

test('a mover opens and ends no connection after the flip, and a decision does not wait for that', async () => {
  const { moves } = system.control
  const { id } = await moves.start({ tenant: 'acme', tier: 'enterprise', cluster: 'us-2', by: 'test' })
  await moves.reached(id, 'watching')
  await waitUntil('the flip is known', () => points.includes('flipped'))
  // Until when it may go back is known by then.
  await waitUntil('the end of the watch is known', async () => (await moves.get(id)).watchUntil !== null)
  const before = await connections()
  await sleep(700)
  expect(before.length).toBeGreaterThan(0)
  expect(await connections()).toEqual(before)
  expect(points).not.toContain('state:watching')
  await moves.complete(id)
  await moves.reached(id, 'completed')
})
