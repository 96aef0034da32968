import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { type ConfigInput, resolveConfig, secret } from '../../../config/index.ts'
import { type ControlPlane, openControlPlane } from '../../../tiers/control/control-plane.ts'
import { withAdmin } from '../../../tiers/pg/admin.ts'
import { quoteIdent } from '../../../tiers/quote.ts'
import { type OwnRedis, startOwnRedis } from '../../directory/support.ts'
import { startWorld, type TestGateway, type World } from '../../gateway/support.ts'
import { QUICK } from '../../move/support/two-clusters.ts'
import type { TestRegion } from '../../support/system.ts'
import { startTap, type Tap } from '../../support/tap.ts'
import { temporaryFolder } from '../../support/temporary.ts'
import { type Collector, startCollector } from '../../telemetry/collector.ts'

export const REGIONS = ['us', 'eu'] as const

/** Somewhere that bytes can be, and the region it belongs to; null for what is between regions or above them. */
export interface Place {
  readonly name: string
  readonly region: TestRegion | null
  readonly bytes: readonly Buffer[]
}

/** Two whole regions, every connection of which goes through a tap that keeps it. */
export interface Topology {
  readonly world: World
  readonly gateways: Readonly<Record<TestRegion, TestGateway>>
  /** Over taps as well. */
  readonly control: ControlPlane
  readonly taps: Readonly<Record<`${'postgres' | 'redis' | 'otlp' | 'peer'} ${TestRegion}` | 'control', Tap>>
  readonly redis: Readonly<Record<TestRegion, OwnRedis>> | null
  /** Another gateway of a region, with a configuration of its own. */
  gateway(region: TestRegion, configure?: (input: ConfigInput) => ConfigInput): Promise<TestGateway>
  /** Stops the region's gateway and starts it anew from what it kept on disk. */
  restart(region: TestRegion): Promise<void>
  places(): Promise<Place[]>
  close(): Promise<void>
}

/** Pro tenants are redirected, enterprise tenants rejected: pinned, both. Free ones are forwarded. */
const AWAY = { free: 'forward', pro: 'redirect', enterprise: 'reject' } as const

export async function startTopology(): Promise<Topology> {
  const tap = async () => {
    const started = await startTap()
    started.isRecording = true
    return started
  }
  const both = async <T>(make: (region: TestRegion) => Promise<T>) => ({ us: await make('us'), eu: await make('eu') })
  const [postgres, redisTaps, otlp, peer, control] = [
    await both(tap),
    await both(tap),
    await both(tap),
    await both(tap),
    await tap(),
  ]
  const taps: Topology['taps'] = {
    'postgres us': postgres.us,
    'postgres eu': postgres.eu,
    'redis us': redisTaps.us,
    'redis eu': redisTaps.eu,
    'otlp us': otlp.us,
    'otlp eu': otlp.eu,
    'peer us': peer.us,
    'peer eu': peer.eu,
    control,
  }
  const stores = await both(() => startOwnRedis())
  const redis = stores.us === null || stores.eu === null ? null : { us: stores.us, eu: stores.eu }
  const collectors = await both(() => startCollector())
  const folders = await both((region) => temporaryFolder(`kept-${region}`))
  const redisEnv = {
    REDIS_US: redisTaps.us.url.replace('http:', 'redis:'),
    REDIS_EU: redisTaps.eu.url.replace('http:', 'redis:'),
  }

  const world = await startWorld({
    regions: ['us', 'eu'],
    ownControlServer: true,
    env: redisEnv,
    configure: (input) => ({
      ...input,
      regions: Object.fromEntries(
        REGIONS.map((r) => [
          r,
          {
            ...input.regions[r]!,
            url: `http://${r}.localhost`,
            peerUrl: peer[r].url,
            ...(redis === null ? {} : { redisUrl: secret(`REDIS_${r.toUpperCase()}`) }),
          },
        ]),
      ),
      tiers: Object.fromEntries(
        Object.entries(input.tiers).map(([name, tier]) => [name, { ...tier, away: AWAY[name as keyof typeof AWAY] }]),
      ),
    }),
  })
  const { system } = world
  for (const r of REGIONS) {
    postgres[r].target = system.servers.get(r)!.server.port
    otlp[r].target = Number(new URL(collectors[r].url).port)
    if (redis !== null) redisTaps[r].target = redis[r].port
  }
  control.target = system.controlServer.server.port
  const env = throughTaps(system.env, taps)

  const gateway = (region: TestRegion, configure = (i: ConfigInput) => i) =>
    world.gateway(region, {
      env,
      configure: (input) =>
        configure({
          ...input,
          telemetry: { ...input.telemetry, otlpUrl: otlp[region].url, traceRatio: 1 },
          directory: { ...input.directory, persistFolder: folders[region], persistMs: 200 },
        }),
    })
  const gateways = await both((region) => gateway(region))
  const started: Record<TestRegion, TestGateway[]> = { us: [gateways.us], eu: [gateways.eu] }
  for (const r of REGIONS) peer[r].target = gateways[r].port
  const plane = openControlPlane({
    config: resolveConfig(system.input, { kind: 'control' }, env),
    migrationsFolder: system.migrationsFolder,
    moveSettings: QUICK,
  })
  plane.moves.run()

  return {
    world,
    gateways,
    control: plane,
    taps,
    redis,
    async gateway(region, configure) {
      const made = await gateway(region, configure)
      started[region].push(made)
      return made
    },
    async restart(region) {
      await gateways[region].close()
      gateways[region] = await gateway(region)
      started[region].push(gateways[region])
      peer[region].target = gateways[region].port
    },
    async places() {
      const found: Place[] = Object.entries(taps).map(([name, { recorded }]) => ({
        name: `${name}, on the wire`,
        region: name === 'control' || name.startsWith('peer') ? null : (name.split(' ')[1] as TestRegion),
        bytes: recorded(),
      }))
      for (const region of REGIONS) {
        const text = (name: string, bytes: readonly string[]) =>
          found.push({ name: `${name} ${region}`, region, bytes: bytes.map((b) => Buffer.from(b)) })
        text('logs', [JSON.stringify(started[region].map((g) => g.logs))])
        text('metrics', [await gateways[region].telemetry.prometheusText()])
        text('kept on disk', await filesOf(folders[region]))
        if (redis !== null) text('redis', await dumpOf(redis[region]))
      }
      found.push({ name: 'control database', region: null, bytes: await tablesOf(system.env.INNKEEPER_CONTROL_URL!) })
      return found
    },
    async close() {
      await plane.close()
      await world.close()
      await Promise.all(Object.values(taps).map((t) => t.close()))
      await Promise.all(REGIONS.map((r: TestRegion) => (collectors[r] as Collector).close()))
      await Promise.all(REGIONS.map((r) => redis?.[r].stop()))
    },
  }
}

/** The same secrets, with each address that of its tap. */
function throughTaps(env: Readonly<Record<string, string>>, taps: Topology['taps']): Record<string, string> {
  const through = (name: string, { port }: Tap) => {
    const url = new URL(env[name]!)
    url.hostname = '127.0.0.1'
    url.port = String(port)
    return [name, url.href]
  }
  return {
    ...env,
    ...Object.fromEntries([
      through('INNKEEPER_CONTROL_URL', taps.control),
      through('INNKEEPER_DIRECTORY_URL', taps.control),
      through('INNKEEPER_US_1_URL', taps['postgres us']),
      through('INNKEEPER_US_1_ADMIN_URL', taps['postgres us']),
      through('INNKEEPER_EU_1_URL', taps['postgres eu']),
      through('INNKEEPER_EU_1_ADMIN_URL', taps['postgres eu']),
    ]),
  }
}

async function filesOf(folder: string): Promise<string[]> {
  const names = await readdir(folder, { recursive: true, withFileTypes: true })
  const files = names.filter((entry) => entry.isFile())
  return Promise.all(files.map((entry) => readFile(join(entry.parentPath, entry.name), 'latin1')))
}

/** Every key with its value, as the server itself would write it. */
async function dumpOf(redis: OwnRedis): Promise<string[]> {
  const client = await redis.client()
  const keys = await client.keys('*')
  const values = await Promise.all(keys.map((key) => client.dumpBuffer(key)))
  return [...keys, ...values.map((value) => value?.toString('latin1') ?? '')]
}

/** Every row of every table, as text. */
async function tablesOf(url: string): Promise<Buffer[]> {
  return withAdmin(url, null, {}, async (sql) => {
    const tables = await sql<{ schema: string; name: string }[]>`
      select n.nspname as schema, c.relname as name from pg_class c join pg_namespace n on n.oid = c.relnamespace
      where c.relkind = 'r' and n.nspname not in ('pg_catalog', 'information_schema')`
    const found: Buffer[] = []
    for (const { schema, name } of tables) {
      const rows = await sql.unsafe<{ row: string }[]>(
        `select t::text as row from ${quoteIdent(schema)}.${quoteIdent(name)} t`,
      )
      found.push(Buffer.from(rows.map((r) => r.row).join('\n')))
    }
    return found
  })
}
