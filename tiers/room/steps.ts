import type { Limits } from '../../config/index.ts'
import type { Step } from '../pg/batch.ts'
import type { ParserSet } from '../pg/values.ts'
import { standardParsers } from '../pg/values.ts'
import type { IsolationLevel, SqlQuery, TransactionOptions } from '../types.ts'
import { enterStep, RESET_STEP } from './enter.ts'
import type { PlacedTenant, RoomBatch } from './entrance.ts'
import type { TicketKey } from './keys.ts'

/** A statement of the application's, with how its rows are wanted. */
export interface Statement extends SqlQuery {
  readonly rows?: 'array' | 'object'
  readonly parsers?: ParserSet
}

export interface StepMaker {
  /** The steps before the application's own: a clean session, and the entrance. */
  opening(tenant: PlacedTenant, interactive: boolean, options: TransactionOptions, claims: string): Step[]
  statement(tenant: PlacedTenant, statement: Statement): Step
}

export interface StepMakerDeps {
  keyOf(cluster: string): TicketKey
  limitsOf(tier: string): Limits
  preparedOn(cluster: string): boolean
  roomText(text: string, schema: string): string
}

const BEGIN: Record<IsolationLevel, string> = {
  'read committed': 'begin isolation level read committed read write',
  'repeatable read': 'begin isolation level repeatable read read write',
  serializable: 'begin isolation level serializable read write',
}

export function createStepMaker(deps: StepMakerDeps): StepMaker {
  return {
    opening(tenant, interactive, options, claims) {
      const { cluster, database, schema, isolation, epoch } = tenant.placement
      const limits = deps.limitsOf(tenant.tier)
      const prepared = deps.preparedOn(cluster)
      const isolationLevel = options.isolationLevel ?? 'read committed'
      const enter = enterStep(
        deps.keyOf(cluster),
        { database, tenant: tenant.id, epoch, readOnly: options.readOnly ?? false, isolationLevel, claims },
        {
          statementMs: Math.min(options.statementTimeoutMs ?? limits.statementTimeoutMs, limits.statementTimeoutMs),
          lockMs: limits.lockTimeoutMs,
          idleMs: interactive ? limits.idleInTransactionTimeoutMs : 0,
        },
        isolation === 'schema' ? schema : null,
      )
      const steps: Step[] = [RESET_STEP, enter]
      if (interactive) steps.unshift({ text: BEGIN[isolationLevel], params: [], prepared: true, rows: 'none' })
      return prepared ? steps : steps.map((s) => ({ ...s, prepared: false }))
    },
    statement(tenant, statement) {
      return {
        text: deps.roomText(statement.text, tenant.placement.schema),
        params: statement.params,
        prepared: deps.preparedOn(tenant.placement.cluster),
        rows: statement.rows ?? 'object',
        parsers: statement.parsers ?? standardParsers,
      }
    },
  }
}

export function batchOf(opening: Step[], own: Step): RoomBatch {
  return { steps: [...opening, own], firstOwn: opening.length }
}
