import type { Hono } from 'hono'
import type { ConfigInput } from '../../config/index.ts'
import { startTap, type Tap } from '../support/tap.ts'
import { startWorld, type TestGateway, type World } from './support.ts'

/** Two regions with a gateway each; what one gateway sends to the other goes through the other's tap. */
export interface TwoRegions {
  readonly world: World
  readonly us: TestGateway
  readonly eu: TestGateway
  /** In front of the region's gateway, for gateways of other regions only. */
  readonly taps: { readonly us: Tap; readonly eu: Tap }
  close(): Promise<void>
}

export interface TwoRegionsOptions {
  readonly routes?: Hono
  readonly configure?: (input: ConfigInput) => ConfigInput
  /** What `configure` names beside the rest. */
  readonly env?: Readonly<Record<string, string>>
}

/** The tiers' policies: forward for free, redirect for pro, reject for enterprise. */
const AWAY = { free: 'forward', pro: 'redirect', enterprise: 'reject' } as const

export async function startTwoRegions({
  routes,
  configure = (i) => i,
  env,
}: TwoRegionsOptions = {}): Promise<TwoRegions> {
  const taps = { us: await startTap(), eu: await startTap() }
  const world = await startWorld({
    regions: ['us', 'eu'],
    ...(env && { env }),
    configure: (input) =>
      configure({
        ...input,
        peering: { connectTimeoutMs: 500, answerTimeoutMs: 2_000 },
        regions: {
          us: { ...input.regions.us!, url: 'http://us.localhost', peerUrl: taps.us.url },
          eu: { ...input.regions.eu!, url: 'http://eu.localhost', peerUrl: taps.eu.url },
        },
        identify: { ...input.identify, baseDomains: ['localhost', 'us.localhost', 'eu.localhost'] },
        tiers: Object.fromEntries(
          Object.entries(input.tiers).map(([name, tier]) => [name, { ...tier, away: AWAY[name as keyof typeof AWAY] }]),
        ),
      }),
  })
  const options = routes ? { routes } : {}
  const us = await world.gateway('us', options)
  const eu = await world.gateway('eu', options)
  taps.us.target = us.port
  taps.eu.target = eu.port
  return {
    world,
    us,
    eu,
    taps,
    async close() {
      await world.close()
      await Promise.all([taps.us.close(), taps.eu.close()])
    },
  }
}
