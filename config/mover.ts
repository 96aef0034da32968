import type { KeyPairs } from './pair-keys.ts'
import { readPairs, regionOfKey } from './peering.ts'
import type { PostgresHost } from './postgres-url.ts'
import type { Read } from './read.ts'
import type { ConfigFault, ProcessRole } from './resolve.ts'
import type { ParsedConfig } from './shape.ts'

/** A region's half of the mover, as the halves of other regions reach it. Private keys only where this process is that half. */
export interface RegionMover extends KeyPairs {
  readonly address: PostgresHost
}

/** @param others those of the regions before, whose keys it must not share */
export function readMover(
  name: string,
  written: ParsedConfig['regions'][string]['mover'],
  isOwn: boolean,
  others: readonly (readonly [string, RegionMover])[],
  read: Read,
  faults: ConfigFault[],
): RegionMover | null {
  if (written === undefined) return null
  const at = `regions.${name}.mover`
  const { fault, ...pairs } = readPairs(at, written, isOwn, read)
  const other = regionOfKey(others, pairs)
  const what = other === null ? fault : `holds a key of region ${other}: each region needs one of its own`
  if (what !== null) faults.push({ where: `${at}.publicKeys`, what })
  const { hostname, port } = new URL(written.url.replace(/^tcp:/, 'http:'))
  return { ...pairs, address: { host: hostname, port: Number(port || 80) } }
}

/** A half reaches another region through that region's half, so one alone would be able to move nobody between them. */
export function moverFaults({ regions }: ParsedConfig, role: ProcessRole): ConfigFault[] {
  const [having, lacking] = [true, false].map((has) =>
    Object.keys(regions).filter((name) => (regions[name]!.mover !== undefined) === has),
  )
  const faults: ConfigFault[] = []
  if (having!.length > 0) {
    for (const name of lacking!) {
      faults.push({ where: `regions.${name}.mover`, what: `is missing, and region ${having![0]} has one: all or none` })
    }
  } else if (role.kind === 'mover') {
    faults.push({ where: `regions.${role.region}.mover`, what: 'is missing: npx innkeeper peering-key makes its keys' })
  }
  return faults
}
