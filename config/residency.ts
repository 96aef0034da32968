import { z } from 'zod'
import type { ConfigFault } from './resolve.ts'
import type { ParsedConfig } from './shape.ts'

/** What a law, a contract or a promise asks of where a tenant's data may be. Which law asks what is for counsel to say. */

const count = z.number().int().positive()

const profileShape = z.strictObject({
  regions: z.array(z.string()).min(1).describe('where the tenant may live; its data is nowhere else'),
  tiers: z.array(z.string()).min(1).optional().describe('the tiers it may have; any where left out'),
  isolation: z
    .array(z.enum(['shared', 'schema', 'database']))
    .min(1)
    .optional()
    .describe('the isolation models it may live on; any where left out'),
  encryption: z
    .enum(['required', 'optional'])
    .default('optional')
    .describe('required: only clusters with tls verify-full whose storage is stated to be encrypted'),
  transit: z
    .enum(['refused', 'allowed'])
    .default('refused')
    .describe('whether requests may pass through gateways of other regions on their way home'),
  retentionDays: count.optional().describe('how long a backup or an export may be kept, at the most'),
  audit: z
    .enum(['changes', 'access'])
    .default('changes')
    .describe('access: operators who look at the tenant are written down as well'),
})

export const residencyShape = z.strictObject({
  profiles: z.record(
    z.string().regex(/^[a-z][a-z0-9-]{0,30}$/, 'use a lower-case letter, then up to 30 letters, digits or dashes'),
    profileShape,
  ),
})

export type ResidencyProfile = z.output<typeof profileShape>

/** Every name in a profile is one of the configuration's, and some tenant could keep it. */
export function residencyFaults({ residency, regions, tiers }: ParsedConfig): ConfigFault[] {
  return Object.entries(residency.profiles).flatMap(([name, profile]) => {
    const at = `residency.profiles.${name}`
    const unknown = (field: 'regions' | 'tiers', known: object) =>
      (profile[field] ?? [])
        .filter((n) => !Object.hasOwn(known, n))
        .map((n) => ({ where: `${at}.${field}`, what: `"${n}" is not one of ${Object.keys(known).join(', ')}` }))
    const faults: ConfigFault[] = [...unknown('regions', regions), ...unknown('tiers', tiers)]
    const isPossible = Object.entries(tiers).some(
      ([tier, { isolation }]) =>
        (profile.tiers?.includes(tier) ?? true) && (profile.isolation?.includes(isolation) ?? true),
    )
    if (faults.length === 0 && !isPossible) {
      faults.push({ where: at, what: 'no tier keeps it: none of its tiers is of an isolation model that it allows' })
    }
    return faults
  })
}
