/** A semicolon, and how what may hold one begins: strings, quoted names, dollar quotes, comments. */
const PIECE = /;|(?<![\w$])e'|['"]|(?<![\w$])\$(?:[a-z_\u0080-\uffff][\w\u0080-\uffff]*)?\$|--|\/\*/gi

/** Cuts what was written into whole statements, without their semicolons, and the beginning of the next one. */
export function complete(text: string): { statements: string[]; rest: string } {
  const statements: string[] = []
  const pieces = new RegExp(PIECE)
  let from = 0
  for (let found = pieces.exec(text); found !== null; found = pieces.exec(text)) {
    const { 0: piece, index } = found
    if (piece !== ';') {
      const end = endOf(piece.toLowerCase(), text, index + piece.length)
      // What is opened and not closed: the rest of the text belongs to it.
      if (end === null) break
      pieces.lastIndex = end
      continue
    }
    const statement = text.slice(from, index).trim()
    if (statement !== '') statements.push(statement)
    from = index + 1
  }
  const rest = text.slice(from)
  return { statements, rest: rest.trim() === '' ? '' : rest }
}

const UP_TO: Readonly<Record<string, RegExp>> = {
  "'": /(?:[^']|'')*'/y,
  '"': /(?:[^"]|"")*"/y,
  // A quote that is escaped is a part of the string: what follows it must not run as a statement.
  "e'": /(?:[^'\\]|''|\\[\s\S])*'/y,
  '--': /[^\n\r]*/y,
}

/** Where a piece ends that has begun before `at`; null where it does not. */
function endOf(piece: string, text: string, at: number): number | null {
  if (piece === '/*') return endOfComment(text, at)
  if (piece.startsWith('$')) {
    const opened = text.slice(at - piece.length, at)
    const close = text.indexOf(opened, at)
    return close === -1 ? null : close + opened.length
  }
  const rest = new RegExp(UP_TO[piece]!)
  rest.lastIndex = at
  return rest.test(text) ? rest.lastIndex : null
}

/** Comments nest. */
function endOfComment(text: string, at: number): number | null {
  let depth = 1
  const marks = /\/\*|\*\//g
  marks.lastIndex = at
  for (let mark = marks.exec(text); mark !== null; mark = marks.exec(text)) {
    depth += mark[0] === '/*' ? 1 : -1
    if (depth === 0) return marks.lastIndex
  }
  return null
}
