import { moverFaults } from './mover.ts'
import { residencyFaults } from './residency.ts'
import type { ConfigFault, ProcessRole } from './resolve.ts'
import type { ParsedConfig } from './shape.ts'
import { tlsFaults } from './tls.ts'

/** What no single field can tell: names that refer to each other. */
export function crossFaults(raw: ParsedConfig, role: ProcessRole): ConfigFault[] {
  const faults = role.kind === 'control' ? [] : regionFaults(raw, role.region)
  faults.push(...moverFaults(raw, role))
  if (raw.defaultTier !== undefined && !Object.hasOwn(raw.tiers, raw.defaultTier)) {
    faults.push({
      where: 'defaultTier',
      what: `"${raw.defaultTier}" is not one of ${Object.keys(raw.tiers).join(', ')}`,
    })
  }
  for (const [tier, { away }] of Object.entries(raw.tiers)) {
    const unpeered = Object.keys(raw.regions).filter((name) => raw.regions[name]!.peering === undefined)
    if (away === 'forward' && unpeered.length > 0 && Object.keys(raw.regions).length > 1) {
      faults.push({ where: `tiers.${tier}.away`, what: `"forward" needs regions.${unpeered[0]}.peering` })
    }
  }
  faults.push(...residencyFaults(raw), ...sharedSecrets(raw), ...tlsFaults(raw), ...issuerFaults(raw))
  if (raw.control.region !== undefined && !Object.hasOwn(raw.regions, raw.control.region)) {
    faults.push({ where: 'control.region', what: `"${raw.control.region}" is not a region` })
  }
  const owners = new Map<string, string>()
  for (const [region, { clusters }] of Object.entries(raw.regions)) {
    for (const cluster of Object.keys(clusters)) {
      const other = owners.get(cluster)
      if (other !== undefined) {
        faults.push({
          where: `regions.${region}.clusters.${cluster}`,
          what: `${other} has a cluster of this name already`,
        })
      }
      owners.set(cluster, region)
    }
    for (const [tier, { isolation }] of Object.entries(raw.tiers)) {
      if (!Object.values(clusters).some((c) => c.hosts.includes(isolation))) {
        faults.push({ where: `regions.${region}`, what: `no cluster hosts "${isolation}", which tier ${tier} needs` })
      }
    }
  }
  return faults
}

/** What is a region's own under one name in two regions is one thing after all: whoever has the one has the other. */
function sharedSecrets({ regions }: ParsedConfig): ConfigFault[] {
  const faults: ConfigFault[] = []
  const owners = new Map<string, string>()
  for (const [region, { key, keyPrevious, keyRing = [], peering, mover, redisUrl }] of Object.entries(regions)) {
    const own = {
      key,
      keyPrevious,
      redisUrl,
      'peering.key': peering?.key,
      'peering.keyPrevious': peering?.keyPrevious,
      'mover.key': mover?.key,
      'mover.keyPrevious': mover?.keyPrevious,
      'mover.controlUrl': mover?.controlUrl,
    }
    const named = [...Object.entries(own), ...keyRing.map((ref) => ['keyRing', ref] as const)]
    for (const [field, ref] of named) {
      const owner = ref && owners.get(ref.env)
      if (owner !== undefined && owner !== region) {
        const what = `is ${ref!.env}, which is region ${owner}'s too: each region needs one of its own`
        faults.push({ where: `regions.${region}.${field}`, what })
      }
      if (ref) owners.set(ref.env, region)
    }
  }
  return faults
}

/** A token is checked by the first entry that fits: the keys of a second one are never looked at. */
function issuerFaults({ jwt }: ParsedConfig): ConfigFault[] {
  return jwt.flatMap(({ issuer, audience }, i) => {
    const first = jwt.findIndex((entry) => entry.issuer === issuer && entry.audience === audience)
    return first === i ? [] : [{ where: `jwt.${i}.issuer`, what: `jwt.${first} has this issuer and audience already` }]
  })
}

/** A process that belongs to a region is told of one that there is. */
export function regionFaults({ regions }: ParsedConfig, region: string): ConfigFault[] {
  if (Object.hasOwn(regions, region)) return []
  const known = Object.keys(regions).join(', ')
  return [{ where: 'regions', what: `has no region "${region}"; it has ${known}` }]
}
