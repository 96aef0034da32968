import { randomBytes } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { type ConfigInput, secret } from '../../config/index.ts'
import { publicKeyOf } from '../../config/x25519.ts'
import type { TestGateway } from '../gateway/support.ts'
import { startTwoRegions, type TwoRegions } from '../gateway/two-regions.ts'
import type { TestRegion } from '../support/system.ts'
import { waitUntil } from '../support/wait.ts'

const NEXT = randomBytes(32)

let regions: TwoRegions
/** The region's gateway of the moment, to which its tap leads. */
const now = {} as Record<TestRegion, TestGateway>
beforeAll(async () => {
  regions = await startTwoRegions()
  Object.assign(now, { us: regions.us, eu: regions.eu })
  await regions.world.system.control.setAway('acme', 'forward')
}, 120_000)
afterAll(() => regions?.close())

/** Puts another gateway in the place of a region's, as a rolling restart does: the old one goes when nobody is sent to it. */
async function replace(
  region: TestRegion,
  configure: (input: ConfigInput) => ConfigInput,
  settle: () => Promise<void>,
): Promise<void> {
  const { world, taps } = regions
  const old = now[region]
  now[region] = await world.gateway(region, { configure, env: { ...world.system.env, NEXT: NEXT.toString('base64') } })
  taps[region].target = now[region].port
  await settle()
  await old.close()
  await settle()
}

test('the rotation of the README refuses no request at any step, and ends with the old key worth nothing', async () => {
  const { env } = regions.world.system
  const old = secret('INNKEEPER_US_PEERING_KEY')
  const [before, after] = [env.INNKEEPER_US_PEERING_PUBLIC_KEY!, publicKeyOf(NEXT).toString('base64')]
  const peering = (of: NonNullable<ConfigInput['regions'][string]['peering']>) => (input: ConfigInput) => ({
    ...input,
    regions: { ...input.regions, us: { ...input.regions.us!, peering: of } },
  })
  const steps = [
    peering({ key: old, publicKeys: [before, after] }),
    peering({ key: secret('NEXT'), keyPrevious: old, publicKeys: [before, after] }),
    peering({ key: secret('NEXT'), keyPrevious: old, publicKeys: [after] }),
    peering({ key: secret('NEXT'), publicKeys: [after] }),
  ]
  const failures: unknown[] = []
  let answers = 0
  let isRunning = true
  const load = (['us', 'eu'] as const).map(async (region) => {
    const away = region === 'us' ? 'umbrella' : 'acme'
    while (isRunning) {
      const { status, json } = await now[region].ask(`/t/${away}/v1/whoami`, { as: away })
      answers++
      if (status !== 200) failures.push({ region, status, json })
      await sleep(2)
    }
  })
  const settle = async () => {
    const until = answers + 40
    await waitUntil('answers', () => answers >= until, 30_000)
  }
  await settle()
  for (const step of steps) {
    // Everywhere, one region after the other: in between they disagree.
    for (const region of ['eu', 'us'] as const) {
      await replace(region, step, settle)
    }
  }
  isRunning = false
  await Promise.all(load)
  expect(failures).toEqual([])

  const late = await regions.world.gateway('us')
  const answer = await late.ask('/t/umbrella/v1/whoami', { as: 'umbrella' })
  expect(answer).toMatchObject({ status: 401, json: { code: 'unauthenticated' } })
}, 180_000)
