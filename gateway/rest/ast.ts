/** What a request asks for, as parsed: names are still the client's own and have not been looked up in the catalogue. */

export interface JsonStep {
  readonly key: string
  /** An array position (`->0`), as opposed to an object's key. */
  readonly isIndex: boolean
  /** `->>`: text, as opposed to `->`: JSON. */
  readonly asText: boolean
}

export interface Field {
  readonly name: string
  readonly path: readonly JsonStep[]
}

export type SelectItem =
  | { readonly kind: 'all' }
  | { readonly kind: 'field'; readonly field: Field; readonly alias: string | null; readonly cast: string | null }
  | { readonly kind: 'count'; readonly alias: string }
  | { readonly kind: 'embed'; readonly embed: Embed }

export interface Embed {
  /** A table's, foreign key's or foreign key column's name. */
  readonly target: string
  /** How the result and the filters call it: the alias, or else the target. */
  readonly name: string
  readonly hint: string | null
  readonly inner: boolean
  readonly spread: boolean
  readonly node: Node
}

/** One level of the request: the root, or an embedded resource. Mutable while the query string is being read. */
export interface Node {
  select: readonly SelectItem[]
  where: Condition[]
  order: readonly OrderTerm[]
  limit: number | null
  offset: number
}

export type Operator = keyof typeof OPERATORS
export type Quantifier = 'any' | 'all'

export interface Test {
  readonly kind: 'test'
  readonly field: Field
  readonly negated: boolean
  readonly operator: Operator
  readonly quantifier: Quantifier | null
  /** Of a full-text search: the text search configuration. */
  readonly language: string | null
  /** A list for `in`, otherwise the text after the operator. */
  readonly value: string | readonly string[]
}

export interface Logic {
  readonly kind: 'logic'
  readonly operator: 'and' | 'or'
  readonly negated: boolean
  readonly conditions: readonly Condition[]
}

export type Condition = Test | Logic

export interface OrderTerm {
  readonly field: Field
  /** The to-one embed whose column this is (`order=customers(name)`), null for the level's own. */
  readonly embed: string | null
  readonly direction: 'asc' | 'desc' | null
  readonly nulls: 'first' | 'last' | null
}

/** How each operator's value is read: decides its SQL and the type of its parameter. */
export const OPERATORS = {
  eq: { sql: '=', value: 'column', quantified: true },
  neq: { sql: '<>', value: 'column', quantified: false },
  gt: { sql: '>', value: 'column', quantified: true },
  gte: { sql: '>=', value: 'column', quantified: true },
  lt: { sql: '<', value: 'column', quantified: true },
  lte: { sql: '<=', value: 'column', quantified: true },
  like: { sql: 'like', value: 'pattern', quantified: true },
  ilike: { sql: 'ilike', value: 'pattern', quantified: true },
  match: { sql: '~', value: 'text', quantified: true },
  imatch: { sql: '~*', value: 'text', quantified: true },
  in: { sql: '= any', value: 'list', quantified: false },
  is: { sql: 'is', value: 'keyword', quantified: false },
  isdistinct: { sql: 'is distinct from', value: 'column', quantified: false },
  cs: { sql: '@>', value: 'column', quantified: false },
  cd: { sql: '<@', value: 'column', quantified: false },
  ov: { sql: '&&', value: 'column', quantified: false },
  sl: { sql: '<<', value: 'column', quantified: false },
  sr: { sql: '>>', value: 'column', quantified: false },
  nxr: { sql: '&<', value: 'column', quantified: false },
  nxl: { sql: '&>', value: 'column', quantified: false },
  adj: { sql: '-|-', value: 'column', quantified: false },
  fts: { sql: 'to_tsquery', value: 'search', quantified: false },
  plfts: { sql: 'plainto_tsquery', value: 'search', quantified: false },
  phfts: { sql: 'phraseto_tsquery', value: 'search', quantified: false },
  wfts: { sql: 'websearch_to_tsquery', value: 'search', quantified: false },
} as const satisfies Record<string, { sql: string; value: string; quantified: boolean }>

/** What `is.` accepts, and the SQL that it stands for. */
export const IS_KEYWORDS = {
  null: 'null',
  not_null: 'not null',
  true: 'true',
  false: 'false',
  unknown: 'unknown',
} as const

/** Bounds on what one request may ask for, so that no query string can make the gateway or the database work for long. */
export const BOUNDS = {
  depth: 10,
  embeds: 32,
  selectItems: 512,
  conditions: 512,
  orderTerms: 32,
  jsonSteps: 16,
} as const

/** The embedded resource of a level that goes by this name: an alias wins over another embed's target. */
export function findEmbed(node: Node, name: string): Embed | null {
  let byTarget: Embed | null = null
  for (const item of node.select) {
    if (item.kind !== 'embed') continue
    if (item.embed.name === name) return item.embed
    if (item.embed.target === name) byTarget ??= item.embed
  }
  return byTarget
}

export function emptyNode(select: readonly SelectItem[] = [{ kind: 'all' }]): Node {
  return { select, where: [], order: [], limit: null, offset: 0 }
}
