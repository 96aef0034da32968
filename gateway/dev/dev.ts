import { createWriteStream } from 'node:fs'
import { mkdir, readFile, rm } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import { ConfigError, parseConfig } from '../../config/resolve.ts'
import type { ParsedConfig } from '../../config/shape.ts'
import { isInnkeeperError } from '../../tiers/errors.ts'
import { loadProduct, type Product } from '../product.ts'
import { releasers } from '../releasers.ts'
import { devEnvironment, devSecrets, publicKeyVariable, writePrivately } from './environment.ts'
import { takeState } from './lock.ts'
import { removeLocalPostgres } from './postgres/remove.ts'
import { type Progress, progressOn } from './progress.ts'
import { dataOf, serverNames, startServers } from './servers.ts'
import { onStop } from './stop.ts'
import { type DemoFile, summaryOf } from './summary.ts'
import { type RunningSystem, startSystem } from './system.ts'
import { watchProduct } from './watch.ts'
import { withoutTls } from './without-tls.ts'

export interface DevOptions {
  /** Of the first region's gateway; the next regions take the next ones. */
  readonly port: number
  readonly adminPort: number
  /** The folder that keeps the data between starts. */
  readonly state: string
  /** Begins with an empty state folder. */
  readonly reset: boolean
  /** False starts without tenants. */
  readonly demo: boolean
  readonly configFolder: string | null
}

/**
 * A whole system on this machine: PostgreSQL servers, the control plane, a gateway for each region, and the demo's
 * tenants. Returns when it has been stopped; nothing is left running then.
 */
export async function runDev(options: DevOptions): Promise<void> {
  const state = resolve(options.state)
  const progress = progressOn(process.stderr)
  const stop = onStop()
  const closers = releasers()
  try {
    await mkdir(state, { recursive: true, mode: 0o700 })
    closers.add('state', await takeState(state))
    // A tool that waits for the file must not find the last start's.
    await rm(join(state, 'demo.json'), { force: true })
    const product = await localProduct(options)
    const names = serverNames(product.config)
    if (options.reset) await reset(state, names, progress)

    const servers = await startServers(state, names, progress)
    for (const server of servers.values()) {
      closers.add(`PostgreSQL ${server.name}`, () => server.stop(stop.hurry() ? 'immediate' : 'fast'))
    }
    const secrets = await devSecrets(state, Object.keys(product.config.regions))
    const log = createWriteStream(join(state, 'innkeeper.log'), { flags: 'a', mode: 0o600 })
    closers.add('log', () => new Promise((done) => log.end(done)))

    const start = async (of: LocalProduct): Promise<RunningSystem> => {
      const env = devEnvironment(of.config, servers, secrets)
      const keptKeys = await readKeys(state)
      const { port, adminPort, demo } = options
      const careful = { ...progress, step: (text: string) => stop.throwIfAsked(() => progress.step(text)) }
      const system = await startSystem({
        product: of,
        env,
        port,
        adminPort,
        demo,
        keptKeys,
        logTo: log,
        progress: careful,
      })
      const { adminUrl, gateways, tenants } = system
      const keys = Object.fromEntries(tenants.map((t) => [t.slug, t.apiKey]))
      await writePrivately(join(state, 'keys.json'), `${JSON.stringify(keys, null, 2)}\n`)
      // Last and at once: whoever waits for the file finds everything ready.
      const file: DemoFile = { adminUrl, adminToken: secrets.adminToken, gateways, tenants }
      await writePrivately(join(state, 'demo.json'), `${JSON.stringify(file, null, 2)}\n`)
      progress.done('ready')
      return system
    }
    let system: RunningSystem | null = await start(product)
    closers.add('system', async () => system?.close())
    process.stdout.write(summaryOf(await readDemo(state), options.state, product.isDemo))

    const reload = async () => {
      try {
        const changed = await localProduct(options, true)
        if (serverNames(changed.config).join() !== names.join()) {
          throw new Error('Regions or clusters were added or removed: stop, and start again')
        }
        progress.step('the configuration has changed: starting again with it')
        await system?.close()
        system = null
        system = await start(changed)
      } catch (error) {
        progress.done(`not picked up: ${messageOf(error)}`)
      }
    }
    closers.add('watch', watchProduct(product.folder, reload))
    await stop.asked
    process.stderr.write('\nstopping...\n')
  } catch (error) {
    if (!stop.isStop(error)) throw error
    progress.done('stopping before it was ready')
  } finally {
    await closers.releaseAll()
    stop.end()
  }
}

type LocalProduct = Product & { readonly config: ParsedConfig }

/** The product with the addresses of this machine in its configuration. */
async function localProduct({ configFolder, port, state }: DevOptions, fresh = false): Promise<LocalProduct> {
  const product = await loadProduct(configFolder, { fresh })
  const parsed = withoutTls(parseConfig(product.config))
  const regions = Object.fromEntries(
    Object.entries(parsed.regions).map(([name, region], i) => {
      // A local system has neither a Redis nor a key ring of its own, nor a key that was rotated out.
      const {
        redisUrl: _redis,
        keyPrevious: _previous,
        keyRing: _ring,
        peerUrl: _peer,
        caFile: _ca,
        peerCaFile: _peerCa,
        ...rest
      } = region
      const peering = region.peering && {
        key: region.peering.key,
        publicKeys: [{ env: publicKeyVariable(region.peering.key) }],
      }
      return [name, { ...rest, ...(peering && { peering }), url: `http://localhost:${port === 0 ? 80 : port + i}` }]
    }),
  )
  // Short enough for a stop within seconds.
  const http = { ...parsed.http, drainMs: Math.min(parsed.http.drainMs, 3_000) }
  const directory = { ...parsed.directory, persistFolder: join(resolve(state), 'directory') }
  return { ...product, config: { ...parsed, regions, http, directory } }
}

async function reset(state: string, names: readonly string[], progress: Progress): Promise<void> {
  progress.step('removing the old state')
  await Promise.all(names.map((name) => removeLocalPostgres(dataOf(state, name))))
  for (const name of ['demo.json', 'keys.json', 'secrets.json', 'postgres', 'directory', 'innkeeper.log']) {
    await rm(join(state, name), { recursive: true, force: true })
  }
}

async function readDemo(state: string): Promise<DemoFile> {
  return JSON.parse(await readFile(join(state, 'demo.json'), 'utf8')) as DemoFile
}

async function readKeys(state: string): Promise<Map<string, string>> {
  try {
    return new Map(
      Object.entries(JSON.parse(await readFile(join(state, 'keys.json'), 'utf8')) as Record<string, string>),
    )
  } catch (error) {
    if ((error as { code?: string }).code === 'ENOENT') return new Map()
    throw error
  }
}

function messageOf(error: unknown): string {
  if (isInnkeeperError(error)) return [error.message, error.details, error.hint].filter(Boolean).join(' ')
  return error instanceof ConfigError || error instanceof Error ? error.message : String(error)
}
