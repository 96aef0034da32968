import type { DestinationStream } from 'pino'
import { resolveConfig } from '../config/index.ts'
import { redisServerOf } from '../tiers/cache/redis-server.ts'
import { type ControlPlane, openControlPlane } from '../tiers/control/control-plane.ts'
import { openRegionStores } from '../tiers/control/region-stores.ts'
import { type Half, startHalf } from '../tiers/half/half.ts'
import { regionHands } from '../tiers/half/hands.ts'
import { otherRegions } from '../tiers/half/other-regions.ts'
import { channelKeys } from '../tiers/half/peers.ts'
import { readMigrations } from '../tiers/migrate/files.ts'
import type { MoveHook, MoveSettings } from '../tiers/move/context.ts'
import { openLink } from '../tiers/pg/link.ts'
import { loadProduct, type Product } from './product.ts'
import { releasers } from './releasers.ts'
import { createTelemetry, type Telemetry } from './telemetry/telemetry.ts'

export interface MoverOptions {
  readonly configFolder: string | null
  readonly region: string
  /** That of the region's `mover.url` where left out. */
  readonly port?: number | undefined
  readonly host: string
  readonly env: Readonly<Record<string, string | undefined>>
  readonly product?: Pick<Product, 'config' | 'migrationsFolder' | 'references'>
  readonly logTo?: DestinationStream
  readonly telemetry?: Telemetry
  readonly moveSettings?: Partial<MoveSettings>
  /** For tests. */
  readonly hook?: MoveHook
}

export interface RunningMover {
  readonly port: number
  readonly half: Half
  readonly moves: ControlPlane['moves']
  /** Leaves every move where it is, for the region's next half. */
  close(): Promise<void>
}

/**
 * The composition root of a region's half of the mover. It runs the moves that lead into its region, and for those that
 * lead out of it opens sessions on its own servers for the other region's half.
 *
 * @throws ConfigError with every fault of the configuration at once
 */
export async function startMover(options: MoverOptions): Promise<RunningMover> {
  const { region, host, moveSettings, hook } = options
  const product = options.product ?? (await loadProduct(options.configFolder))
  const config = resolveConfig(product.config, { kind: 'mover', region }, options.env)
  const { secrets, mover } = config.regions.get(region)!
  const closers = releasers()
  try {
    const telemetry = options.telemetry ?? createTelemetry(config.telemetry, { ...options, service: 'innkeeper-mover' })
    if (options.telemetry === undefined) closers.add('telemetry', () => telemetry.shutdown())
    const { log } = telemetry
    const server = { url: config.controlUrl, ...config.controlTls }
    const directory = openLink(server, { applicationName: 'innkeeper-half', max: 2, isWatching: true })
    closers.add('control database', () => directory.close(5))
    const files = () => readMigrations(product.migrationsFolder)
    const migration = async () => ({ files: await files(), references: product.references })
    const stores = openRegionStores({ config, migration })
    closers.add('rooms', () => stores.close())
    const half = await startHalf({
      region,
      host,
      port: options.port ?? mover!.address.port,
      keys: channelKeys(config, region),
      clusters: secrets!.clusters,
      redis: redisServerOf(config, region),
      hands: config.controlChannel === null ? null : regionHands({ secrets: secrets!, stores, files }),
      sql: directory.sql,
      onRefused: (peer, why) => log.warn({ peer, why }, 'refused what another half asked for'),
      onOpened: (peer, request) => log.info({ peer, ...request }, 'opened for another half'),
    })
    closers.add('half', () => half.close())
    const { moves, close } = openControlPlane({
      config,
      migrationsFolder: product.migrationsFolder,
      references: product.references,
      others: otherRegions(config, region),
      onMoveError: (err, move) => log.warn({ err, move: move?.id, tenant: move?.tenantId }, 'a move is tried again'),
      ...(moveSettings === undefined ? {} : { moveSettings }),
    })
    closers.add('moves', close)
    moves.run(hook)
    log.info({ port: half.port }, 'half of the mover listening')
    return { port: half.port, half, moves, close: () => closers.releaseAll() }
  } catch (error) {
    await closers.releaseAll()
    throw error
  }
}
