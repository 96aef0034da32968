import { randomBytes } from 'node:crypto'
import { chmod, readFile, rename, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { Secret } from '../../config/index.ts'
import type { ParsedConfig } from '../../config/shape.ts'
import { publicKeyOf } from '../../config/x25519.ts'
import type { LocalPostgres } from './postgres/types.ts'

/** What is made up once for a local system and kept in its state folder. */
export interface DevSecrets {
  readonly adminToken: string
  readonly appPassword: string
  readonly directoryPassword: string
  readonly signingKey: string
  readonly regionKeys: Record<string, string>
  readonly peeringKeys: Record<string, string>
}

const FILE = 'secrets.json'

/** Reads the secrets of a state folder, or makes those that are missing. */
export async function devSecrets(state: string, regions: readonly string[]): Promise<DevSecrets> {
  const kept = await readFile(join(state, FILE), 'utf8').then(
    (text) => JSON.parse(text) as Partial<DevSecrets>,
    (error: { code?: string }) => {
      if (error.code === 'ENOENT') return {} as Partial<DevSecrets>
      throw error
    },
  )
  const secrets: DevSecrets = {
    adminToken: kept.adminToken ?? randomBytes(24).toString('hex'),
    appPassword: kept.appPassword ?? randomBytes(18).toString('base64url'),
    directoryPassword: kept.directoryPassword ?? randomBytes(18).toString('base64url'),
    signingKey: kept.signingKey ?? randomBytes(32).toString('base64'),
    regionKeys: keysOf(regions, kept.regionKeys),
    peeringKeys: keysOf(regions, kept.peeringKeys),
  }
  await writePrivately(join(state, FILE), `${JSON.stringify(secrets, null, 2)}\n`)
  return secrets
}

function keysOf(regions: readonly string[], kept: Record<string, string> = {}): Record<string, string> {
  return Object.fromEntries(regions.map((r) => [r, kept[r] ?? randomBytes(32).toString('base64')]))
}

/** Writes a file that only its owner can read; whole or not at all. */
export async function writePrivately(path: string, text: string): Promise<void> {
  const temporary = `${path}.${process.pid}.tmp`
  await writeFile(temporary, text, { mode: 0o600 })
  // The mode above holds for a new file only.
  await chmod(temporary, 0o600)
  await rename(temporary, path)
}

const APP_ROLE = 'innkeeper_app'
const DIRECTORY_ROLE = 'innkeeper_directory'
const CONTROL_DATABASE = 'innkeeper_control'

/** Where the public half of a local region's peering key is, whatever the configuration says of it. */
export const publicKeyVariable = (key: Secret): string => `${key.env}_PUBLIC`

/**
 * The environment in which the configuration's secrets point at local servers: under whatever names it gives them.
 *
 * @param servers by cluster name, with the control database's as `control`
 */
export function devEnvironment(
  config: ParsedConfig,
  servers: ReadonlyMap<string, LocalPostgres>,
  secrets: DevSecrets,
): Record<string, string> {
  const control = servers.get('control')!
  const env: Record<string, string> = {
    [config.control.url.env]: control.url(CONTROL_DATABASE),
    [config.admin.token.env]: secrets.adminToken,
  }
  if (config.control.readUrl) {
    env[config.control.readUrl.env] = control.url(CONTROL_DATABASE, DIRECTORY_ROLE, secrets.directoryPassword)
  }
  if (config.control.signingKey) env[config.control.signingKey.env] = secrets.signingKey
  for (const [name, region] of Object.entries(config.regions)) {
    env[region.key.env] = secrets.regionKeys[name]!
    if (region.peering) {
      const key = secrets.peeringKeys[name]!
      env[region.peering.key.env] = key
      env[publicKeyVariable(region.peering.key)] = publicKeyOf(Buffer.from(key, 'base64')).toString('base64')
    }
    for (const [clusterName, cluster] of Object.entries(region.clusters)) {
      const server = servers.get(clusterName)!
      env[cluster.url.env] = server.url('postgres', APP_ROLE, secrets.appPassword)
      env[cluster.adminUrl.env] = server.url('postgres')
    }
  }
  return env
}
