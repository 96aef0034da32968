import { quoteIdent } from '../../../tiers/quote.ts'
import { ROOM_IDENTIFIER } from '../../../tiers/types.ts'
import type { Catalogue, JoinPair, Table } from '../catalogue/types.ts'
import { newAlias, type Params } from './params.ts'

/** One table reference of the statement that is being written. */
export interface Scope {
  readonly catalogue: Catalogue
  readonly params: Params
  readonly table: Table
  readonly alias: string
  /** The most rows that any list in the answer may have: the tier's. */
  readonly maxRows: number
}

/** A reference to another table of the same statement. */
export function scopeOf(parent: Omit<Scope, 'table' | 'alias'>, table: Table): Scope {
  const { catalogue, params, maxRows } = parent
  return { catalogue, params, maxRows, table, alias: newAlias(params) }
}

export function tableSql(name: string): string {
  return `${ROOM_IDENTIFIER}.${quoteIdent(name)}`
}

/** The join on every column of a key, `tenant_id` included: with it the index of the key is used. */
export function joinSql(pairs: readonly JoinPair[], local: string, foreign: string): string {
  return pairs.map(([a, b]) => `${foreign}.${quoteIdent(b)} = ${local}.${quoteIdent(a)}`).join(' and ')
}
