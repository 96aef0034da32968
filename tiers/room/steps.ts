import type { Limits } from '../../config/index.ts'
import type { AnswerHold } from '../pg/answer-budget.ts'
import type { Step } from '../pg/batch.ts'
import type { ParserSet } from '../pg/values.ts'
import { standardParsers, wireValues } from '../pg/values.ts'
import type { IsolationLevel, SqlQuery, TransactionOptions } from '../types.ts'
import { enterStep, RESET_STEP } from './enter.ts'
import type { PlacedTenant, RoomBatch } from './entrance.ts'
import type { TicketKey } from './keys.ts'
import { PREPARED_CHARS_MAX } from './room-text.ts'

/** A statement of the application's, with how its rows are wanted. */
export interface Statement extends SqlQuery {
  readonly rows?: 'array' | 'object'
  readonly parsers?: ParserSet
}

export interface StepMaker {
  /** The steps before the application's own: a clean session, and the entrance. */
  opening(tenant: PlacedTenant, interactive: boolean, options: TransactionOptions, claims: string): readonly Step[]
  statement(tenant: PlacedTenant, statement: Statement): Step
}

export interface StepMakerDeps {
  keyOf(cluster: string): TicketKey
  limitsOf(tier: string): Limits
  preparedOn(cluster: string): boolean
  roomText(text: string, schema: string): string
}

const begin = (name: string, level: IsolationLevel): Step => ({
  name,
  text: `begin isolation level ${level} read write`,
  params: [],
  prepared: true,
  rows: 'none',
})
const BEGIN: Record<IsolationLevel, Step> = {
  'read committed': begin('begin_rc', 'read committed'),
  'repeatable read': begin('begin_rr', 'repeatable read'),
  serializable: begin('begin_s', 'serializable'),
}

/** How long a ticket, which lives for 15 s, is used again: making one costs as much as all the rest of an opening. */
const REUSE_MS = 1_000

export function createStepMaker(deps: StepMakerDeps): StepMaker {
  let openings = new WeakMap<PlacedTenant, Map<string, Step[]>>()
  let renewAt = 0

  const make = (tenant: PlacedTenant, interactive: boolean, options: TransactionOptions, claims: string): Step[] => {
    const { cluster, database, schema, isolation, epoch } = tenant.placement
    const limits = deps.limitsOf(tenant.tier)
    const isolationLevel = options.isolationLevel ?? 'read committed'
    const enter = enterStep(
      deps.keyOf(cluster),
      { database, tenant: tenant.id, epoch, readOnly: options.readOnly ?? false, isolationLevel, claims },
      {
        // Zero would mean none at all to the server.
        statementMs: Math.max(
          1,
          Math.floor(Math.min(options.statementTimeoutMs ?? Infinity, limits.statementTimeoutMs)),
        ),
        lockMs: limits.lockTimeoutMs,
        idleMs: interactive ? limits.idleInTransactionTimeoutMs : 0,
      },
      isolation === 'schema' ? schema : null,
    )
    const steps: Step[] = [RESET_STEP, enter]
    if (interactive) steps.unshift(BEGIN[isolationLevel])
    return deps.preparedOn(cluster) ? steps : steps.map((s) => ({ ...s, prepared: false }))
  }

  return {
    opening(tenant, interactive, options, claims) {
      const now = Date.now()
      if (now >= renewAt || now < renewAt - REUSE_MS) {
        openings = new WeakMap()
        renewAt = now + REUSE_MS
      }
      // What the directory gave is a new object whenever anything of the tenant has changed, its epoch included.
      let ofTenant = openings.get(tenant)
      if (ofTenant === undefined) {
        ofTenant = new Map()
        openings.set(tenant, ofTenant)
      }
      const key = openingKey(interactive, options, claims)
      let steps = ofTenant.get(key)
      if (steps === undefined) {
        steps = make(tenant, interactive, options, claims)
        if (ofTenant.size < OPENINGS_PER_TENANT_MAX) ofTenant.set(key, steps)
      }
      return steps
    },
    statement(tenant, statement) {
      const text = deps.roomText(statement.text, tenant.placement.schema)
      return {
        text,
        // Here, before there is a connection: a value that cannot be converted is the caller's error and nothing else.
        params: wireValues(statement.params),
        prepared: deps.preparedOn(tenant.placement.cluster) && text.length <= PREPARED_CHARS_MAX,
        rows: statement.rows ?? 'object',
        parsers: statement.parsers ?? standardParsers,
      }
    },
  }
}

const OPENINGS_PER_TENANT_MAX = 100

function openingKey(interactive: boolean, options: TransactionOptions, claims: string): string {
  const { readOnly = false, isolationLevel, statementTimeoutMs } = options
  if (!interactive && !readOnly && isolationLevel === undefined && statementTimeoutMs === undefined) return claims
  return `${interactive} ${readOnly} ${isolationLevel} ${statementTimeoutMs} ${claims}`
}

export function batchOf(opening: readonly Step[], own: Step, hold: AnswerHold, changesNothing: boolean): RoomBatch {
  return { steps: [...opening, own], firstOwn: opening.length, hold, changesNothing }
}
