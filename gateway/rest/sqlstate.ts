import { type Catalogue, TENANT_COLUMN } from './catalogue/types.ts'
import { RestError } from './errors.ts'

/** The fields of a driver's error that PostgreSQL filled; `pg` and others use these names. */
export interface DatabaseError extends Error {
  readonly code: string
  readonly detail?: string
  readonly hint?: string
}

/** An error that PostgreSQL itself reported, as opposed to a broken connection or a bug of ours. */
export function isDatabaseError(error: unknown): error is DatabaseError {
  if (!(error instanceof Error) || !('code' in error) || !('severity' in error)) return false
  return typeof error.code === 'string' && /^[0-9A-Z]{5}$/.test(error.code)
}

/** Exact codes first, then classes; as PostgREST maps them, but for those marked. */
const STATUS_BY_CODE: ReadonlyMap<string, number> = new Map([
  ['23503', 409],
  ['23505', 409],
  ['23P01', 409], // Here: an exclusion is a conflict like the two above.
  ['25006', 405],
  ['40001', 409], // Here: a conflict with a concurrent writer is no fault of the server's.
  ['40P01', 409],
  ['42501', 403],
  ['42883', 404],
  ['42P01', 404],
  ['42P17', 500],
  ['55P03', 409],
  ['57014', 504],
  ['P0001', 400],
])

const STATUS_BY_CLASS: ReadonlyMap<string, number> = new Map([
  ['09', 500],
  ['0L', 403],
  ['0P', 403],
  ['25', 500],
  ['28', 403],
  ['2D', 500],
  ['38', 500],
  ['39', 500],
  ['3B', 500],
  ['40', 500],
  ['54', 400], // Here: what is too complex is what the client sent.
  ['55', 500],
  ['P0', 500],
])

/** The server's own trouble: nothing in it is for a client to read, so the gateway logs and words it. */
const INTERNAL_CLASSES: ReadonlySet<string> = new Set(['08', '53', '57', '58', 'F0', 'HV', 'XX'])

/**
 * Turns an error of PostgreSQL into the dialect's.
 *
 * @param catalogue what the room holds: the schema's name is taken from before each name in it, as `tenant_id` is
 * @returns null when the error is the server's own and must be handled by the gateway
 */
export function fromDatabaseError(error: DatabaseError, catalogue: Catalogue): RestError | null {
  const { code } = error
  const exact = STATUS_BY_CODE.get(code)
  if (exact === undefined && INTERNAL_CLASSES.has(code.slice(0, 2))) return null
  const status = exact ?? customStatus(code) ?? STATUS_BY_CLASS.get(code.slice(0, 2)) ?? 400
  const message = withoutTenancy(error.message, catalogue)
  const details = error.detail === undefined ? null : cleanDetail(error.detail, catalogue)
  return new RestError(status, code, message, details, error.hint ? withoutTenancy(error.hint, catalogue) : null)
}

/** `raise sqlstate 'PT402'` in a trigger answers with status 402. */
function customStatus(code: string): number | undefined {
  if (!code.startsWith('PT')) return undefined
  const status = Number(code.slice(2))
  return status >= 400 && status < 600 ? status : undefined
}

const KEY_START = `Key (${TENANT_COLUMN}, `

/**
 * Takes the tenant out of a detail. Keys begin with `tenant_id`, whose value holds no comma, so both can be cut off by
 * their place; wherever else the name occurs the sentence goes as a whole.
 */
function cleanDetail(detail: string, catalogue: Catalogue): string | null {
  // It lists every column of the row, hidden ones too, in the order that they were added in.
  if (detail.startsWith('Failing row contains')) return null
  let cleaned = detail
  if (detail.startsWith(KEY_START)) {
    const values = detail.indexOf(')=(')
    const second = values === -1 ? -1 : detail.indexOf(', ', values)
    if (second === -1) return null
    cleaned = `Key (${detail.slice(KEY_START.length, values)})=(${detail.slice(second + 2)}`
  }
  return cleaned.includes(TENANT_COLUMN) ? null : withoutTenancy(cleaned, catalogue)
}

const HIDDEN = 'hidden column'

/** A message repeats the value that it is about, which may be all that was sent; names stand before it. */
const TEXT_MAX = 4_000
/** What the cut left of a name, with its schema's, tells nobody. */
const CUT_NAME = /[\w$".]{0,140}$/

/** Constraint names are made of column names, and names of types and tables carry the schema's. */
function withoutTenancy(text: string, catalogue: Catalogue): string {
  const whole = text.length <= TEXT_MAX ? text : `${text.slice(0, TEXT_MAX).replace(CUT_NAME, '')}…`
  const bare = whole
    .replaceAll(`${TENANT_COLUMN}_`, '')
    .replaceAll(`_${TENANT_COLUMN}`, '')
    .replaceAll(TENANT_COLUMN, HIDDEN)
  return QUALIFIED.test(bare) ? bare.replaceAll(QUALIFIED_ALL, unlessForeign(namesIn(catalogue))) : bare
}

/** `schema.name`, either of them perhaps in quotes; names have 63 bytes at most, and quotes in them are doubled. */
const QUALIFIED = /(?:"[^"]{1,63}"|[\w$]{1,63})\.(?:"((?:[^"]|""){1,63})"|([\w$]{1,63}))/
const QUALIFIED_ALL = new RegExp(QUALIFIED, 'g')

/** The catalogue may have been read in another room of the same make, so not the schema is recognised but what is in it. */
function namesIn(catalogue: Catalogue): ReadonlySet<string> {
  const names = new Set(catalogue.tables.keys())
  for (const { columns } of catalogue.tables.values()) {
    for (const { type } of columns.values()) names.add(unquoted(type.label.replace('[]', '')))
  }
  return names
}

function unquoted(name: string): string {
  return name.startsWith('"') ? name.slice(1, -1).replaceAll('""', '"') : name
}

type Replace = (whole: string, quoted: string | undefined, bare: string | undefined) => string

function unlessForeign(names: ReadonlySet<string>): Replace {
  return (whole, quoted, bare) => {
    const shown = bare ?? `"${quoted}"`
    return names.has(unquoted(shown)) ? shown : whole
  }
}
