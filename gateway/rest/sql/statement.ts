import type { QueryResult, SqlQuery } from '../../../tiers/types.ts'

/** The one statement of a request. Its result is a single {@link AnswerRow}. */
export interface Statement {
  readonly query: SqlQuery
  /** The line to put before a CSV body, null for JSON. */
  readonly csvHeader: string | null
}

/** What every statement of the data API answers with: one row. */
export interface AnswerRow {
  /** The response's body, ready to be sent; null when none is wanted or, for a single object, when there is not one. */
  readonly body: string | null
  /** Rows in the body. */
  readonly page: number
  /** Rows that matched (a read) or were written; null when not asked for. Text, as drivers pass on a bigint. */
  readonly total: string | null
  /** Of an insert with `return=headers-only`: the primary key's values, as a JSON array of text. */
  readonly location?: string | null
}

/** Reads the answer from a result; how a driver hands numbers over makes no difference. */
export function answerOf({ rows }: QueryResult): AnswerRow {
  const row = rows[0] as unknown as AnswerRow
  return { ...row, page: Number(row.page) }
}
