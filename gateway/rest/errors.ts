import { nearest } from './catalogue/nearest.ts'

/** A failure in PostgREST's terms: its clients read `code`, `message`, `details` and `hint` from the JSON body. */
export class RestError extends Error {
  readonly status: number
  readonly code: string
  readonly details: unknown
  readonly hint: string | null

  constructor(status: number, code: string, message: string, details: unknown = null, hint: string | null = null) {
    super(message)
    this.name = 'RestError'
    this.status = status
    this.code = code
    this.details = details
    this.hint = hint
  }
}

/** The query string (or a header) does not follow the dialect. */
export function parseError(message: string, details: string | null = null): RestError {
  return new RestError(400, 'PGRST100', message, details)
}

export function badBody(message: string, details: string | null = null): RestError {
  return new RestError(400, 'PGRST102', message, details)
}

export function badRange(details: string): RestError {
  return new RestError(416, 'PGRST103', 'Requested range not satisfiable', details)
}

/** A singular answer was asked for. Older clients look for the words "0 rows" in the details, so they stay. */
export function notSingular(rows: number): RestError {
  const details = `The result contains ${rows} rows`
  return new RestError(406, 'PGRST116', 'Cannot coerce the result to a single JSON object', details)
}

/** The row of a PUT is not the one that its filters name. */
export function otherKey(): RestError {
  return new RestError(400, 'PGRST115', 'Payload values do not match URL in primary key column(s)')
}

export function unknownTable(name: string, known: Iterable<string>): RestError {
  const message = `Could not find the table '${name}' in the schema cache`
  return new RestError(404, 'PGRST205', message, null, suggestion(name, known, 'the table'))
}

/** A column named in select, a filter or order that the table does not have; also what `tenant_id` gets. */
export function unknownColumn(table: string, name: string, known: Iterable<string>): RestError {
  const hint = suggestion(name, known, 'the column')
  return new RestError(400, '42703', `column ${table}.${name} does not exist`, null, hint)
}

/** The same in a payload, `columns` or `on_conflict`. */
export function unknownPayloadColumn(table: string, name: string, known: Iterable<string>): RestError {
  const message = `Could not find the '${name}' column of '${table}' in the schema cache`
  return new RestError(400, 'PGRST204', message, null, suggestion(name, known, 'the column'))
}

export function notEmbedded(name: string): RestError {
  const message = `'${name}' is not an embedded resource in this request`
  return new RestError(
    400,
    'PGRST108',
    message,
    null,
    `Verify that '${name}' is included in the 'select' query parameter.`,
  )
}

function suggestion(name: string, known: Iterable<string>, what: string): string | null {
  const near = nearest(name, known)
  return near === null ? null : `Perhaps you meant ${what} '${near}'`
}
