import type { KeyPairs } from './pair-keys.ts'
import { readPairs, regionOfKey } from './peering.ts'
import { type PostgresHost, parsePostgresUrl, postgresUrlFault } from './postgres-url.ts'
import type { Read } from './read.ts'
import type { ConfigFault, ProcessRole } from './resolve.ts'
import type { ParsedConfig } from './shape.ts'

/** A region's half of the mover, as the halves of other regions reach it. Private keys only where this process is that half. */
export interface RegionMover extends KeyPairs {
  readonly address: PostgresHost
  /** By which it logs in to the control database; null where it does so as the control plane, or in others' processes. */
  readonly controlUrl: string | null
}

/**
 * @param role   of this process: private keys are the half's own, and its login is for the control plane too, which makes it
 * @param others those of the regions before, whose keys it must not share
 */
export function readMover(
  name: string,
  written: ParsedConfig['regions'][string]['mover'],
  role: ProcessRole,
  others: readonly (readonly [string, RegionMover])[],
  read: Read,
  faults: ConfigFault[],
): RegionMover | null {
  if (written === undefined) return null
  const at = `regions.${name}.mover`
  const isOwn = role.kind === 'mover' && role.region === name
  const { fault, ...pairs } = readPairs(at, written, isOwn, read)
  const other = regionOfKey(others, pairs)
  const what = other === null ? fault : `holds a key of region ${other}: each region needs one of its own`
  if (what !== null) faults.push({ where: `${at}.publicKeys`, what })
  const { hostname, port } = new URL(written.url.replace(/^tcp:/, 'http:'))
  const login = isOwn || role.kind === 'control' ? written.controlUrl : undefined
  const controlUrl = login === undefined ? null : read(`${at}.controlUrl`, login, postgresUrlFault)
  return { ...pairs, controlUrl, address: { host: hostname, port: Number(port || 80) } }
}

/**
 * Each half's login to the control database is a role of its own: the control plane, which makes them, takes from each what is
 * not for a half, be it from itself.
 *
 * @param taken by what it logs in itself, and by what gateways do
 */
export function loginFaults(
  movers: readonly (readonly [string, RegionMover])[],
  taken: readonly string[],
): ConfigFault[] {
  const users = taken.map(userOf)
  const faults: ConfigFault[] = []
  for (const [name, { controlUrl }] of movers) {
    if (controlUrl === null) continue
    const user = userOf(controlUrl)
    if (users.includes(user)) {
      const what = `logs in as ${user}, as another does: name a role of its own`
      faults.push({ where: `regions.${name}.mover.controlUrl`, what })
    }
    users.push(user)
  }
  return faults
}

function userOf(url: string): string {
  return parsePostgresUrl(url).user
}

/**
 * What the control plane proves itself to the halves by, where it reaches regions through them: they know its public keys.
 * Null for gateways, and where it has the regions' credentials itself.
 */
export function readChannel(
  { control }: ParsedConfig,
  role: ProcessRole,
  movers: readonly (readonly [string, RegionMover])[],
  read: Read,
  faults: ConfigFault[],
): KeyPairs | null {
  if (control.channel === undefined || role.kind === 'gateway') return null
  const { fault, ...pairs } = readPairs('control.channel', control.channel, role.kind === 'control', read)
  const other = regionOfKey(movers, pairs)
  const what = other === null ? fault : `holds a key of region ${other}, which could speak for the control plane`
  if (what !== null) faults.push({ where: 'control.channel.publicKeys', what })
  return pairs
}

/** A half reaches another region through that region's half, so one alone would be able to move nobody between them. */
export function moverFaults({ regions, control }: ParsedConfig, role: ProcessRole): ConfigFault[] {
  const [having, lacking] = [true, false].map((has) =>
    Object.keys(regions).filter((name) => (regions[name]!.mover !== undefined) === has),
  )
  const faults: ConfigFault[] = []
  if (having!.length > 0) {
    for (const name of lacking!) {
      faults.push({ where: `regions.${name}.mover`, what: `is missing, and region ${having![0]} has one: all or none` })
    }
  } else if (control.channel !== undefined) {
    faults.push({ where: 'control.channel', what: 'leads nowhere: no region has a mover' })
  } else if (role.kind === 'mover') {
    faults.push({ where: `regions.${role.region}.mover`, what: 'is missing: npx innkeeper peering-key makes its keys' })
  }
  return faults
}
