import type { Flow, MoveContext } from './context.ts'
import type { Side } from './side.ts'
import { ensureStaging } from './staging.ts'

/** Below it the ends are neighbours, and the deadline is what it is set to. */
const NEAR_MS = 5
/** What an attempt sends to one end, one after the other: so many times, and so many times for each table. */
const TRIPS = 15
const TRIPS_PER_TABLE = 3
const SAMPLES = 3

/**
 * For how long an attempt at the cut-over may keep the tenant's requests waiting. Between regions most of it is the way
 * there and back, so it follows the round-trip times between the mover and both ends, measured just before. It stays
 * below what gateways wait for a tenant that is being moved: after that clients would see an error.
 *
 * @returns milliseconds
 */
export async function deadlineOf({ settings, tables }: MoveContext, { source, target }: Flow): Promise<number> {
  const trips = TRIPS + TRIPS_PER_TABLE * (await tables()).length
  const ways = await Promise.all([source, target].map(roundTripMs))
  const far = ways.reduce((sum, ms) => sum + (ms > NEAR_MS ? ms * trips : 0), 0)
  return Math.min(settings.deadlineMs + far, Math.max(settings.deadlineMs, settings.deadlineMaxMs))
}

/** What can be made ready before anybody waits: each temporary table is a round trip. */
export async function warmUp({ tables }: MoveContext, { source, target }: Flow): Promise<void> {
  await Promise.all([source.client(), target.client().then(async (to) => ensureStaging(to, target, await tables()))])
}

/** The least of a few: what comes on top is somebody's work, and not the way. */
async function roundTripMs(side: Side): Promise<number> {
  const client = await side.client()
  let least = Infinity
  for (let i = 0; i < SAMPLES; i++) {
    const started = performance.now()
    await client.script('select')
    least = Math.min(least, performance.now() - started)
  }
  return least
}
