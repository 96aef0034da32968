import type { Format } from '../parse/accept.ts'
import type { OutputColumn } from './select.ts'

/**
 * Writes the aggregate that turns the rows of `s` into a response's body as text, so that the gateway passes it on as
 * it is: nothing is parsed on the way and no number loses digits.
 */
export function bodySql(format: Format, columns: readonly OutputColumn[]): string {
  const row = format.stripNulls ? 'pg_catalog.json_strip_nulls(pg_catalog.row_to_json(s.*))' : 's.*'
  switch (format.kind) {
    case 'json':
      return `coalesce(pg_catalog.json_agg(${row}), '[]'::json)::text`
    case 'object':
      return `case when pg_catalog.count(*) = 1 then (pg_catalog.json_agg(${row}) -> 0)::text end`
    case 'csv':
      // A row's text form is CSV but for its parentheses and its doubled backslashes.
      return columns.length === 0
        ? `''`
        : `pg_catalog.string_agg(pg_catalog.replace(pg_catalog.substr((s.*)::text, 2, pg_catalog.length((s.*)::text) - 2), '\\\\', '\\'), e'\\n')`
  }
}

/** The header line of a CSV answer, which the gateway puts before the body; null for JSON. */
export function csvHeader(format: Format, columns: readonly OutputColumn[]): string | null {
  if (format.kind !== 'csv') return null
  return columns.map(({ name }) => (/[",\r\n]/.test(name) ? `"${name.replaceAll('"', '""')}"` : name)).join(',')
}
