/**
 * Quotes one SQL identifier. It is the only way a name gets into a statement's text: names come from the catalogue,
 * values travel as parameters.
 *
 * @param name a table's, column's, constraint's or type's name as the catalogue spells it
 * @returns the name in double quotes, with quotes inside doubled
 * @throws RangeError on an empty name or one that holds a NUL, which PostgreSQL cannot store
 */
export function quoteIdent(name: string): string {
  if (name === '' || name.includes('\0')) throw new RangeError('not an SQL identifier')
  return `"${name.includes('"') ? name.replaceAll('"', '""') : name}"`
}
