import { ROOM } from './types.ts'

/**
 * Quotes one SQL identifier. It is the only way a name gets into a statement's text: names come from the catalogue,
 * values travel as parameters.
 *
 * @param name a table's, column's, constraint's or type's name as the catalogue spells it
 * @returns the name in double quotes, with quotes inside doubled
 * @throws RangeError on an empty name, one that holds a NUL, which PostgreSQL cannot store, and one that holds the
 *   room's placeholder, in whose place the tenant's schema would be put
 */
export function quoteIdent(name: string): string {
  if (!isQuotable(name)) throw new RangeError('not an SQL identifier')
  return `"${name.includes('"') ? name.replaceAll('"', '""') : name}"`
}

/**
 * Quotes one value, for the few statements that take no parameters: COPY, DDL, and several statements in one message.
 *
 * @returns the value in single quotes, whatever the server's setting of `standard_conforming_strings` is
 * @throws RangeError on a NUL, which PostgreSQL cannot store
 */
export function quoteLiteral(value: string): string {
  if (value.includes('\0')) throw new RangeError('not an SQL value')
  const quoted = value.replaceAll("'", "''")
  return quoted.includes('\\') ? ` E'${quoted.replaceAll('\\', '\\\\')}'` : `'${quoted}'`
}

/** Whether {@link quoteIdent} takes a name: to be asked first of one that comes from outside, such as an alias. */
export function isQuotable(name: string): boolean {
  return name !== '' && !name.includes('\0') && !name.includes(ROOM)
}
