import { z } from 'zod'
import { ERROR_CODES, type ErrorCode } from '../errors.ts'
import { ISOLATIONS, type TenantId } from '../types.ts'

/** What one may ask of a half, the first thing said on a channel. It is one thing on each. */

const move = z.uuid()
const name = z.string().min(1).max(63)
const version = z.string().length(64)

const placement = z.strictObject({
  cluster: name,
  database: name,
  schema: name,
  isolation: z.enum(ISOLATIONS),
  epoch: z.int().positive(),
})

/** What the halves of other regions may ask for. */
const moverRequests = [
  /** A session of PostgreSQL, which follows on the channel. A move's own names it; what moves share names none. */
  z.strictObject({ ask: z.literal('session'), cluster: name, database: name, move: move.nullable() }),
  /** What gateways of the region share in Redis about the move's tenant. */
  z.strictObject({ ask: z.literal('cached'), move, remove: z.boolean() }),
] as const

/** What the control plane may ask for beside sessions, where it has no credentials of the region. */
const controlRequests = [
  z.strictObject({ ask: z.literal('install') }),
  z.strictObject({ ask: z.literal('room'), tenant: z.uuid().transform((id) => id as TenantId), placement, version }),
  z.strictObject({ ask: z.literal('migrate'), cluster: name, database: name, schema: name, version }),
  z.strictObject({ ask: z.literal('about') }),
] as const

export const requestShape = z.discriminatedUnion('ask', [...moverRequests, ...controlRequests])

export type HalfRequest = z.output<typeof requestShape>

const fault = z.strictObject({
  code: z.enum(Object.keys(ERROR_CODES) as [ErrorCode, ...ErrorCode[]]),
  message: z.string(),
  details: z.string().optional(),
  hint: z.string().optional(),
})

export const answerShape = z.union([
  z.strictObject({ ok: z.literal(true), found: z.number().nullable().optional(), told: z.unknown().optional() }),
  z.strictObject({ ok: z.literal(false), code: z.enum(['forbidden', 'failed']), fault: fault.optional() }),
])

export type HalfAnswer = z.output<typeof answerShape>

export const appliedShape = z.array(z.string())
export const factsShape = z.strictObject({
  redisHost: z.string().nullable(),
  clusters: z.array(
    z.strictObject({ name, app: z.string(), kids: z.array(z.string()), hosts: z.array(z.int().positive()) }),
  ),
})
