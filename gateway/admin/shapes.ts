import { z } from 'zod'
import { awayShape } from '../../config/shape.ts'
import { OPERATOR_NAME } from '../../tiers/operators/operators.ts'
import { ROLES } from '../../tiers/operators/roles.ts'
import { isSlug, mayBeSlug } from '../../tiers/slug.ts'

/** What the admin API takes. The OpenAPI document is made from these. */

/** PostgreSQL's text holds every character but this one. */
const NUL = '\u0000'
const hasNoNul = (text: string) => !text.includes(NUL)
const NO_NUL = 'holds a NUL character'

const reason = z.string().trim().min(1).max(500).describe('why, for the log; or the header X-Reason')
export const slug = z
  .string()
  .refine(
    mayBeSlug,
    'use 1 to 63 lower-case letters, digits and dashes, with no dash at either end, and not the form of an id',
  )
  .describe('also the subdomain')

const LABEL = '[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?'
export const domain = z
  .string()
  .trim()
  .toLowerCase()
  .max(253)
  .regex(
    new RegExp(`^(?:${LABEL}\\.)+${LABEL}$`),
    'use a whole host name such as desk.example.com, without port or path',
  )

const away = awayShape.nullable().describe("what other regions' gateways do with its requests; null for its tier's")

const profile = z.string().min(1).nullable().describe("a profile of the configuration's; null for none")
const pinned = z
  .array(z.string().min(1))
  .min(1)
  .max(50)
  .nullable()
  .describe('regions; null for all that the profile allows')

export const newTenant = z.strictObject({
  slug,
  region: z.string().min(1).optional().describe('may be left out where there is one region'),
  tier: z.string().min(1).optional().describe("the configuration's default where left out"),
  away: away.optional(),
  profile: profile.optional(),
  pinned: pinned.optional(),
  domains: z.array(domain).max(50).optional(),
  reason: reason.optional(),
})

export const tenantChange = z
  .strictObject({
    status: z.enum(['active', 'suspended']).optional(),
    tier: z.string().min(1).optional(),
    away: away.optional(),
    reason: reason.optional(),
  })
  .refine(
    (c) => c.status !== undefined || c.tier !== undefined || c.away !== undefined,
    'give a status, a tier or away',
  )

export const residencyChange = z
  .strictObject({
    profile: profile.optional(),
    pinned: pinned.optional(),
    reason: reason.describe('why, for the audit log; it has to be given'),
  })
  .refine((c) => c.profile !== undefined || c.pinned !== undefined, 'give a profile, or pinned regions')

export const migrationRun = z.strictObject({
  reason: reason.optional(),
  completeMoves: z
    .boolean()
    .default(false)
    .describe('complete moves that are only watched, which would stop it otherwise; they cannot be rolled back then'),
})
export const removal = z.strictObject({ reason: reason.optional() })

const limit = z.coerce.number().int().min(1).max(500).default(100)
const after = z.uuid().toLowerCase().optional().describe('the `next` of the page before')

export const pageQuery = z.strictObject({ limit, after })

export const tenantQuery = z.strictObject({
  limit,
  after: z.string().refine(isSlug, 'is no slug').optional().describe('the `next` of the page before'),
  region: z.string().optional(),
  tier: z.string().optional(),
  status: z.enum(['provisioning', 'active', 'suspended', 'offboarded']).optional(),
})

export const newKey = z.strictObject({
  name: z.string().trim().min(1).max(100).refine(hasNoNul, NO_NUL).default('default'),
  scopes: z
    .array(z.enum(['read', 'write']))
    .min(1)
    .default(['read', 'write'])
    .transform((scopes) => [...new Set(scopes)]),
  expiresAt: z.iso
    .datetime({ offset: true })
    .refine((at) => Date.parse(at) > Date.now(), 'lies in the past')
    .nullable()
    .default(null),
  reason: reason.optional(),
})

export const newMove = z.strictObject({
  tier: z.string().min(1).optional(),
  region: z.string().min(1).optional(),
  cluster: z.string().min(1).optional().describe('chosen by capacity where left out and the one it is on will not do'),
  dryRun: z.boolean().default(false).describe('answers with the plan, and changes nothing'),
  reason: reason.optional(),
})

export const moveQuery = z.strictObject({
  tenant: z.string().optional().describe('a slug or an id'),
  open: z.stringbool().optional().describe('those that have not ended, or those that have'),
  limit,
  after,
})

const day = z.iso.datetime({ offset: true }).refine((at) => Date.parse(at) > Date.now(), 'lies in the past')

export const newOperator = z.strictObject({
  name: z.string().regex(OPERATOR_NAME, 'use a lower-case letter, then up to 62 letters, digits or . _ @ -'),
  role: z.enum(ROLES),
  expiresAt: day.nullable().default(null),
  reason: reason.optional(),
})

export const auditQuery = z.strictObject({
  tenant: z.string().optional().describe('a slug or an id'),
  actor: z.string().refine(hasNoNul, NO_NUL).optional(),
  action: z.string().refine(hasNoNul, NO_NUL).optional().describe('such as tenant.move'),
  before: z.coerce.number().int().min(1).optional().describe('the `next` of the page before: the newest come first'),
  limit,
})

export const auditProofQuery = z.strictObject({
  anchor: z
    .string()
    .regex(/^\d{1,15}:[0-9a-f]{64}$/, 'is not the `head` of an earlier proof')
    .transform((text) => ({ seq: Number(text.split(':')[0]), hash: text.split(':')[1]! }))
    .optional()
    .describe('the `head` of an earlier proof: what came before it must still be there'),
})

export const doctorQuery = z.strictObject({
  residency: z
    .stringbool()
    .default(false)
    .describe('also looks through every cluster for what is of tenants that do not belong there'),
})

export const newDomain = z.strictObject({ domain, reason: reason.optional() })

export const statement = z.strictObject({
  sql: z.string().min(1).max(100_000).refine(hasNoNul, NO_NUL).describe('one statement'),
  limit: z.number().int().min(1).max(10_000).default(1_000).describe('rows in the answer, at the most'),
  reason: reason.optional(),
})
