import { Redis } from 'ioredis'
import { type Environment, environment } from '../config/environment.ts'
import { type Config, type ConfigInput, resolveConfig } from '../config/index.ts'
import { redisServerOf, redisTls } from './cache/redis-server.ts'
import { openDirectory } from './directory/directory.ts'
import { InnkeeperError } from './errors.ts'
import { openClusters } from './pg/clusters.ts'
import { NO_OBSERVER, type TiersObserver } from './telemetry.ts'
import { createTenants, type Tenants } from './tenants.ts'

export interface OpenTenantsOptions<Schema extends Record<string, unknown>> {
  /** The application's tables and relations: what `schema.ts` exports. */
  readonly schema: Schema
  /** Whose clusters are opened; it can be left out where the configuration has one region. */
  readonly region?: string
  /** Where secrets are read from, by name; the process's environment where left out. */
  readonly env?: Environment
  readonly observer?: TiersObserver
}

/** The one interface, with what it stands on. */
export interface OpenTenants<Schema extends Record<string, unknown>> extends Tenants<Schema> {
  /** @param drainMs how long to wait for statements under way, in milliseconds; 5,000 where left out */
  close(drainMs?: number): Promise<void>
}

/**
 * Opens the one interface for any program: the directory, the pools of a region's clusters and, where the region has
 * one, Redis. Connections are made when they are first needed.
 *
 * @param config what `innkeeper.config.ts` exports, or a configuration that is already resolved
 * @throws ConfigError with every fault; InnkeeperError `invalid_config` where the region is not clear
 */
export async function openTenants<Schema extends Record<string, unknown>>(
  config: ConfigInput | Config,
  options: OpenTenantsOptions<Schema>,
): Promise<OpenTenants<Schema>> {
  const resolved = isResolved(config) ? config : resolve(config, options)
  const observer = options.observer ?? NO_OBSERVER
  const redis = redisOf(resolved)
  const directory = openDirectory({ config: resolved, redis, observer })
  const clusters = openClusters(resolved, observer)
  return {
    ...createTenants({ config: resolved, directory, clusters, schema: options.schema, observer }),
    async close(drainMs = 5_000) {
      await clusters.close(drainMs)
      await directory.close()
      redis?.disconnect()
    },
  }
}

function isResolved(config: ConfigInput | Config): config is Config {
  return 'role' in config
}

function resolve(
  input: ConfigInput,
  { region, env = environment() }: { readonly region?: string; readonly env?: Environment },
): Config {
  const regions = Object.keys(input.regions)
  const chosen = region ?? (regions.length === 1 ? regions[0] : undefined)
  if (chosen !== undefined) return resolveConfig(input, { kind: 'gateway', region: chosen }, env)
  throw new InnkeeperError('invalid_config', 'The configuration has several regions', {
    hint: `Say which one this program runs in: openTenants(config, { region: '${regions[0]}', ... })`,
  })
}

/** A Redis belongs to one region, so a process that holds several regions' credentials uses none. */
function redisOf(config: Config): Redis | undefined {
  if (config.role.kind !== 'gateway') return undefined
  const server = redisServerOf(config, config.role.region)
  if (server === null) return undefined
  const redis = new Redis(server.url, { ...redisTls(server), maxRetriesPerRequest: 1, enableOfflineQueue: false })
  // Caches count what fails; without a listener a lost connection would end the process.
  redis.on('error', () => {})
  return redis
}
