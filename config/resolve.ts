import type { Duplex } from 'node:stream'
import { crossFaults, regionFaults } from './cross-checks.ts'
import type { Environment } from './environment.ts'
import { loginFaults, type RegionMover, readChannel, readMover } from './mover.ts'
import type { KeyPairs } from './pair-keys.ts'
import { type RegionPeering, readPeering, regionOfKey } from './peering.ts'
import { postgresUrlFault } from './postgres-url.ts'
import { type Read, reader } from './read.ts'
import { keyBytes, type RegionKeys, readKeys } from './region-keys.ts'
import { configShape, type JwtConfig, type ParsedConfig } from './shape.ts'
import { type ReadPem, readIdentity, readPem, type TlsIdentity, type TlsSettings } from './tls.ts'

/** Which process is being configured: it decides which credentials are read at all. */
export type ProcessRole = { readonly kind: 'gateway' | 'mover'; readonly region: string } | { readonly kind: 'control' }

export interface ClusterConfig
  extends Omit<ParsedConfig['regions'][string]['clusters'][string], 'url' | 'adminUrl' | 'tls' | 'caFile'>,
    TlsSettings {
  readonly name: string
  readonly region: string
  /** Of the application role. */
  readonly url: string
  /** Of the role that makes rooms. Only the control plane has it, and the region's half of the mover. */
  readonly adminUrl: string | null
  /** Set for a cluster that this process has no credentials of, and reaches through the half of the mover that has. */
  readonly reach?: Reach
}

/** Opens a session on one database of a cluster, that somebody else has proved itself for. */
export type Reach = (database: string) => Promise<Duplex>

/** What is known of a cluster without its credentials. */
export type ClusterFacts = Omit<ClusterConfig, 'url' | 'adminUrl' | 'ca' | 'reach'>

export interface RegionConfig {
  readonly name: string
  readonly url: string
  /** Where the gateways of other regions send what they forward. */
  readonly peerUrl: string
  readonly peering: RegionPeering
  /** The authorities that are believed there, as PEM; null for those of the runtime. */
  readonly peerCa: string | null
  /** Null where the region has no half of the mover, and for gateways, which have nothing to do with them. */
  readonly mover: RegionMover | null
  readonly clusters: ReadonlyMap<string, ClusterFacts>
  /** Null for a region that this process holds no credentials of. */
  readonly secrets: RegionSecrets | null
}

export interface RegionSecrets extends RegionKeys {
  readonly redisUrl: string | null
  /** The authorities that the region's own servers are believed by, as PEM. */
  readonly ca: string | null
  readonly clusters: ReadonlyMap<string, ClusterConfig>
}

type Resolved = 'control' | 'admin' | 'regions' | 'defaultTier' | 'http' | 'jwt' | 'telemetry'

export interface Config extends Omit<ParsedConfig, Resolved> {
  readonly role: ProcessRole
  readonly controlUrl: string
  readonly controlTls: TlsSettings
  /** The URL that gateways read the directory by, where it is not the control plane's own; only there, to make its role. */
  readonly directoryReaderUrl: string | null
  /** Keys of the control plane, where it has no credentials of the regions and works there through their movers; else null. */
  readonly controlChannel: KeyPairs | null
  /** Where the control plane stands; null where it is not said. */
  readonly controlRegion: string | null
  /** Signs what is believed outside. Only the control plane has it; null where the configuration names none. */
  readonly signingKey: Buffer | null
  readonly admin: {
    readonly token: string | null
    readonly host: string
    readonly port: number
    readonly allowedHosts: readonly string[]
    readonly tls: TlsIdentity | null
  }
  readonly http: Omit<ParsedConfig['http'], 'tls'> & { readonly tls?: TlsIdentity | null }
  readonly jwt: readonly JwtConfig[]
  readonly telemetry: Omit<ParsedConfig['telemetry'], 'caFile'> & { readonly ca?: string | null }
  readonly regions: ReadonlyMap<string, RegionConfig>
  readonly defaultTier: string
}

export interface ConfigFault {
  /** The place: a dotted path in the file, or an environment variable. */
  readonly where: string
  /** What is wrong and what to do. */
  readonly what: string
}

export class ConfigError extends Error {
  readonly faults: readonly ConfigFault[]
  constructor(faults: readonly ConfigFault[]) {
    super(
      `The configuration has ${faults.length} fault${faults.length === 1 ? '' : 's'}:\n${faults
        .map((f) => `  ${f.where}: ${f.what}`)
        .join('\n')}`,
    )
    this.name = 'ConfigError'
    this.faults = faults
  }
}

/**
 * Checks what `innkeeper.config.ts` exports and fills in the defaults, without reading any credential.
 * @throws ConfigError with every fault at once
 */
export function parseConfig(input: unknown): ParsedConfig {
  const parsed = configShape.safeParse(input)
  if (parsed.success) return parsed.data
  throw new ConfigError(
    parsed.error.issues.map((i) => ({ where: i.path.map(String).join('.') || '(top)', what: i.message })),
  )
}

/**
 * Checks a configuration and reads the credentials that one process needs.
 *
 * @param input what `innkeeper.config.ts` exports
 * @param role  the process; a gateway or a mover gets its own region's credentials, the control plane all, or none
 * @param env   where secrets are read from, by name
 * @throws ConfigError with every fault at once
 */
export function resolveConfig(input: unknown, role: ProcessRole, env: Environment): Config {
  const raw = parseConfig(input)
  const faults = crossFaults(raw, role)

  const read = reader(env, faults)
  const pem: ReadPem = (where, path, kind = 'certificate') => {
    if (path === undefined) return null
    const found = readPem(path, kind)
    if ('pem' in found) return found.pem
    faults.push({ where, what: found.fault })
    return null
  }

  const regions = new Map<string, RegionConfig>()
  for (const [name, region] of Object.entries(raw.regions)) {
    const mine = role.kind === 'control' ? raw.control.channel === undefined : role.region === name
    const { fault, ...peering } = readPeering(raw, name, role.kind === 'gateway' && mine, read)
    const other = regionOfKey(
      [...regions].map(([n, r]) => [n, r.peering] as const),
      peering,
    )
    const what = other === null ? fault : `holds a key of region ${other}: each region needs one of its own`
    if (what !== null) faults.push({ where: `regions.${name}.peering.publicKeys`, what })
    const mover = role.kind === 'gateway' ? null : readMover(name, region.mover, role, moversOf(regions), read, faults)
    regions.set(name, {
      name,
      url: region.url.replace(/\/+$/, ''),
      peerUrl: (region.peerUrl ?? region.url).replace(/\/+$/, ''),
      peering,
      peerCa:
        role.kind === 'gateway' && role.region !== name ? pem(`regions.${name}.peerCaFile`, region.peerCaFile) : null,
      mover,
      clusters: factsOf(name, region),
      secrets: mine ? readRegion(name, region, role, read, pem) : null,
    })
  }
  const controlChannel = readChannel(raw, role, moversOf(regions), read, faults)
  const isGateway = role.kind === 'gateway'
  const controlRef = isGateway ? (raw.control.readUrl ?? raw.control.url) : raw.control.url
  const asMover = role.kind === 'mover' ? (regions.get(role.region)?.mover?.controlUrl ?? null) : null
  const controlUrl = asMover ?? read('control.url', controlRef, postgresUrlFault)
  const directoryReaderUrl =
    role.kind === 'control' && raw.control.readUrl
      ? read('control.readUrl', raw.control.readUrl, postgresUrlFault)
      : null
  const signingKey =
    role.kind === 'control' && raw.control.signingKey
      ? Buffer.from(read('control.signingKey', raw.control.signingKey, keyBytes), 'base64')
      : null
  const token = role.kind === 'control' ? read('admin.token', raw.admin.token, longEnough) : null
  const controlTls = { tls: raw.control.tls, ca: pem('control.caFile', raw.control.caFile) }
  const adminTls = role.kind === 'control' ? readIdentity('admin.tls', raw.admin.tls, pem) : null
  const httpTls = isGateway ? readIdentity('http.tls', raw.http.tls, pem) : null
  const jwt = raw.jwt.map((j, i) => ({ ...j, ca: isGateway ? pem(`jwt.${i}.caFile`, j.caFile) : null }))
  const { caFile: otlpCaFile, ...telemetry } = raw.telemetry
  const otlpCa = pem('telemetry.caFile', otlpCaFile)
  if (faults.length === 0 && role.kind === 'control') {
    const taken = [controlUrl, ...(directoryReaderUrl === null ? [] : [directoryReaderUrl])]
    faults.push(...loginFaults(moversOf(regions), taken))
  }
  if (faults.length > 0) throw new ConfigError(faults)
  const { control: _control, regions: _regions, admin, defaultTier, ...rest } = raw
  return Object.freeze({
    ...rest,
    role,
    controlUrl,
    controlTls,
    directoryReaderUrl,
    controlChannel,
    controlRegion: raw.control.region ?? null,
    signingKey,
    admin: { ...admin, token, tls: adminTls },
    http: { ...raw.http, tls: httpTls },
    jwt,
    telemetry: { ...telemetry, ca: otlpCa },
    regions,
    defaultTier: defaultTier ?? Object.keys(raw.tiers)[0]!,
  })
}

function moversOf(regions: ReadonlyMap<string, RegionConfig>) {
  return [...regions].flatMap(([name, { mover }]) => (mover === null ? [] : [[name, mover] as const]))
}

function factsOf(name: string, { clusters }: ParsedConfig['regions'][string]): ReadonlyMap<string, ClusterFacts> {
  return new Map(
    Object.entries(clusters).map(([cluster, { url: _url, adminUrl: _adminUrl, caFile: _caFile, ...facts }]) => [
      cluster,
      { ...facts, name: cluster, region: name },
    ]),
  )
}

function readRegion(
  name: string,
  region: ParsedConfig['regions'][string],
  role: ProcessRole,
  read: Read,
  pem: ReadPem,
) {
  const at = `regions.${name}`
  const ca = pem(`${at}.caFile`, region.caFile)
  const clusters = new Map<string, ClusterConfig>()
  for (const [clusterName, { caFile, ...cluster }] of Object.entries(region.clusters)) {
    const place = `${at}.clusters.${clusterName}`
    clusters.set(clusterName, {
      ...cluster,
      name: clusterName,
      region: name,
      ca: pem(`${place}.caFile`, caFile) ?? ca,
      url: read(`${place}.url`, cluster.url, postgresUrlFault),
      adminUrl: role.kind !== 'gateway' ? read(`${place}.adminUrl`, cluster.adminUrl, postgresUrlFault) : null,
    })
  }
  return {
    ...readKeys(name, region, role.kind, read),
    redisUrl: region.redisUrl ? read(`${at}.redisUrl`, region.redisUrl, redisUrl) : null,
    ca,
    clusters,
  }
}

/**
 * Reads the keys of what a region stores, and nothing else: for who handles its files.
 * @throws ConfigError with every fault at once
 */
export function resolveKeyRing(input: unknown, region: string, env: Environment): readonly Buffer[] {
  const raw = parseConfig(input)
  const faults = regionFaults(raw, region)
  if (faults.length > 0) throw new ConfigError(faults)
  const { keyRing } = readKeys(region, raw.regions[region]!, 'gateway', reader(env, faults))
  if (faults.length > 0) throw new ConfigError(faults)
  return keyRing
}

function redisUrl(value: string): string | null {
  return URL.canParse(value) && /^rediss?:$/.test(new URL(value).protocol) ? null : 'is not a redis:// or rediss:// URL'
}

function longEnough(value: string): string | null {
  return value.length >= 20 ? null : 'is shorter than 20 characters; make one: openssl rand -hex 24'
}
