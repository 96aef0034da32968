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

/** Whether {@link quoteIdent} takes a name: to be asked first of one that comes from outside, such as an alias. */
export function isQuotable(name: string): boolean {
  return name !== '' && !name.includes('\0') && !name.includes(ROOM)
}
