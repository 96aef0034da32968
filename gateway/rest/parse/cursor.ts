import { parseError } from '../errors.ts'

/**
 * A place in a parameter's text. Every parser moves it forward one character at a time and never back further than
 * what it just peeked at, so the whole dialect is read in linear time whatever is sent.
 */
export interface Cursor {
  readonly text: string
  at: number
  /** How deep the parser is nested: bounded, so that a hostile text cannot exhaust the stack. */
  depth: number
}

export function cursorOf(text: string): Cursor {
  return { text, at: 0, depth: 0 }
}

export function isAtEnd(cursor: Cursor): boolean {
  return cursor.at >= cursor.text.length
}

export function peek(cursor: Cursor): string {
  return cursor.text[cursor.at] ?? ''
}

/** Moves past `token` if it stands here. */
export function eat(cursor: Cursor, token: string): boolean {
  if (!cursor.text.startsWith(token, cursor.at)) return false
  cursor.at += token.length
  return true
}

export function expect(cursor: Cursor, token: string): void {
  if (!eat(cursor, token)) fail(cursor, `expected "${token}"`)
}

/** How much of the client's own text an error repeats. */
const QUOTED_MAX = 80

export function fail(cursor: Cursor, what: string): never {
  const { text, at } = cursor
  const shown = text.length > QUOTED_MAX ? `${text.slice(0, QUOTED_MAX)}…` : text
  const found = at < text.length ? `unexpected "${text[at]}"` : 'unexpected end of input'
  throw parseError(`failed to parse (${shown}) at character ${at + 1}`, `${found}, ${what}`)
}

/** The rest of the text up to, and not including, one of `stops`. */
export function takeUntil(cursor: Cursor, stops: string): string {
  const start = cursor.at
  while (cursor.at < cursor.text.length && !stops.includes(cursor.text[cursor.at]!)) cursor.at++
  return cursor.text.slice(start, cursor.at)
}

/** A double-quoted string at the cursor, in which a backslash makes the next character literal. */
export function takeQuoted(cursor: Cursor): string {
  expect(cursor, '"')
  let value = ''
  let start = cursor.at
  for (;;) {
    const character = peek(cursor)
    if (character === '') fail(cursor, 'expected a closing quote')
    if (character === '"') break
    if (character === '\\') {
      value += cursor.text.slice(start, cursor.at)
      cursor.at++
      start = cursor.at
      if (isAtEnd(cursor)) fail(cursor, 'expected a character after the backslash')
    }
    cursor.at++
  }
  value += cursor.text.slice(start, cursor.at)
  cursor.at++
  return value
}
