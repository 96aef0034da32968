import { z } from 'zod'

/** What one half may ask of another, the first thing said on a channel. It is one thing on each. */

const move = z.uuid()
const name = z.string().min(1).max(63)

export const requestShape = z.discriminatedUnion('ask', [
  /** A session of PostgreSQL, which follows on the channel. A move's own names it; what moves share names none. */
  z.strictObject({ ask: z.literal('session'), cluster: name, database: name, move: move.nullable() }),
  /** What gateways of the region share in Redis about the move's tenant. */
  z.strictObject({ ask: z.literal('cached'), move, remove: z.boolean() }),
])

export type HalfRequest = z.output<typeof requestShape>

export const answerShape = z.union([
  z.strictObject({ ok: z.literal(true), found: z.number().nullable().optional() }),
  z.strictObject({ ok: z.literal(false), code: z.enum(['forbidden', 'failed']) }),
])

export type HalfAnswer = z.output<typeof answerShape>
