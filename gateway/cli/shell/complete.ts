/** What a semicolon may stand in without ending a statement: strings, quoted names, dollar quotes, comments. */
const PIECE = /'(?:[^']|'')*'|"(?:[^"]|"")*"|\$(\w*)\$[\s\S]*?\$\1\$|--[^\n]*|\/\*[\s\S]*?\*\/|;|['"]|\/\*|\$\w*\$/g

/** Cuts what was written into whole statements, without their semicolons, and the beginning of the next one. */
export function complete(text: string): { statements: string[]; rest: string } {
  const statements: string[] = []
  let from = 0
  for (const { 0: piece, index } of text.matchAll(PIECE)) {
    // What is opened and not closed: the rest of the text belongs to it.
    if (piece === "'" || piece === '"' || piece === '/*' || /^\$\w*\$$/.test(piece)) break
    if (piece !== ';') continue
    const statement = text.slice(from, index).trim()
    if (statement !== '') statements.push(statement)
    from = index + 1
  }
  const rest = text.slice(from)
  return { statements, rest: rest.trim() === '' ? '' : rest }
}
