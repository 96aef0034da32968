import type { DestinationStream } from 'pino'
import type { ParsedConfig } from '../../config/shape.ts'
import { isInnkeeperError } from '../../tiers/errors.ts'
import { type RunningControl, startControl } from '../control.ts'
import type { Product } from '../product.ts'
import { releasers } from '../releasers.ts'
import { type RunningGateway, startGateway } from '../serve.ts'
import { createTelemetry } from '../telemetry/telemetry.ts'
import { demoTenants } from './demo/tenants-made.ts'
import type { Progress } from './progress.ts'
import type { DemoTenantEntry } from './summary.ts'

export interface SystemOptions {
  /** With the addresses of this machine in its configuration. */
  readonly product: Product & { readonly config: ParsedConfig }
  readonly env: Readonly<Record<string, string>>
  readonly port: number
  readonly adminPort: number
  /** False starts without tenants. */
  readonly demo: boolean
  /** Keys of an earlier start, by slug. */
  readonly keptKeys: ReadonlyMap<string, string>
  readonly logTo: DestinationStream
  readonly progress: Progress
}

export interface RunningSystem {
  readonly adminUrl: string
  /** By region. */
  readonly gateways: Readonly<Record<string, string>>
  readonly tenants: readonly DemoTenantEntry[]
  close(): Promise<void>
}

/** A tenant that is being moved, or may still go back, keeps its rooms as they are: that is no reason not to serve it. */
async function migrateRooms({ control }: RunningControl, progress: Progress): Promise<void> {
  const migrating = control.migrate(({ done, total }) => progress.step(`migrating rooms: ${done} of ${total}`))
  const migrated = await migrating.catch((error: unknown) => {
    if (!isInnkeeperError(error, 'conflict')) throw error
    progress.step(`rooms stay as they are: ${error.message}; when they have, run npx innkeeper migrate`)
    return null
  })
  // One room's own failure is another matter.
  const failure = migrated?.failures[0]
  if (failure !== undefined) throw failure.error
}

/** Everything but the database servers: the control plane, a gateway for each region, every room migrated, the demo. */
export async function startSystem(options: SystemOptions): Promise<RunningSystem> {
  const { product, env, port, progress, logTo } = options
  const closers = releasers()
  // One for all in this process, so that the admin port shows the gateways' metrics too.
  const telemetry = createTelemetry(product.config.telemetry, { service: 'innkeeper', region: 'all', logTo })
  closers.add('telemetry', () => telemetry.shutdown())
  const common = { configFolder: product.folder, product, env, telemetry }
  try {
    const running = await startControl({
      ...common,
      port: options.adminPort,
      onStep: (step) => progress.step(`installing: ${step}`),
    })
    closers.add('control plane', running.close)
    await migrateRooms(running, progress)
    const gateways = new Map<string, RunningGateway>()
    for (const [i, region] of Object.keys(product.config.regions).entries()) {
      const own = port === 0 ? 0 : port + i
      // Loopback only: the demo's keys are for this machine.
      const gateway = await startGateway({ ...common, region, port: own, host: '127.0.0.1' })
      closers.add(`gateway ${region}`, gateway.close)
      gateways.set(region, gateway)
    }
    const urls = Object.fromEntries([...gateways].map(([region, g]) => [region, g.url]))
    const tenants = options.demo ? await demoTenants(running, product, urls, options.keptKeys, progress) : []
    return { adminUrl: running.url, gateways: urls, tenants, close: () => closers.releaseAll() }
  } catch (error) {
    await closers.releaseAll()
    throw error
  }
}
