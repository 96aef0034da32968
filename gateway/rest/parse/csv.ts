import { badBody } from '../errors.ts'

/** As many as a table can have columns. */
export const FIELDS_MAX = 1_600

/** Each line of a CSV becomes an object that names the columns again, and a line may be a single byte. */
const JSON_CHARS_MAX = 64 * 1024 * 1024
/** What an object costs beside its own text. */
const OBJECT_CHARS = 32

/**
 * Turns CSV (RFC 4180, with a header line) into the JSON text of an array of objects, which the database then reads as
 * it reads any other payload. An unquoted NULL is null; everything else is text that the column's type reads.
 *
 * @throws RestError PGRST102 when a row has another number of fields than the header, a quote is not closed, or the JSON
 *   would be too long
 */
export function csvToJson(text: string): { json: string; columns: readonly string[]; rows: number } {
  const lines = linesOf(text)
  const header = lines.next().value?.map((field) => field ?? 'NULL')
  if (header === undefined) throw badBody('The CSV has no header line')
  const keys = header.map((name) => `${JSON.stringify(name)}:`)
  const objects: string[] = []
  let chars = 0
  for (const fields of lines) {
    if (fields.length !== header.length) {
      throw badBody(
        'All lines must have same number of fields',
        `Line ${objects.length + 2} has ${fields.length}, the header ${header.length}`,
      )
    }
    const object = `{${fields.map((field, at) => keys[at] + JSON.stringify(field)).join(',')}}`
    chars += object.length + OBJECT_CHARS
    if (chars > JSON_CHARS_MAX) throw badBody('The CSV is too long', 'Send it in several requests')
    objects.push(object)
  }
  return { json: `[${objects.join(',')}]`, columns: header, rows: objects.length }
}

function* linesOf(text: string): Generator<(string | null)[], undefined> {
  let fields: (string | null)[] = []
  let at = 0
  while (at < text.length) {
    const quoted = text[at] === '"'
    const [value, next] = quoted ? quotedField(text, at) : bareField(text, at)
    if (fields.push(value) > FIELDS_MAX) throw badBody(`A line of a CSV has at most ${FIELDS_MAX} fields`)
    at = next
    if (text[at] === ',') {
      at++
      if (at < text.length) continue
      fields.push('')
    }
    if (text[at] === '\r') at++
    if (at < text.length && text[at] !== '\n')
      throw badBody('The CSV cannot be read', `Unexpected text after a closing quote`)
    at++
    yield fields
    fields = []
  }
}

function bareField(text: string, from: number): [string | null, number] {
  let at = from
  while (at < text.length && text[at] !== ',' && text[at] !== '\n' && text[at] !== '\r') at++
  const value = text.slice(from, at)
  return [value === 'NULL' ? null : value, at]
}

function quotedField(text: string, from: number): [string, number] {
  let value = ''
  let start = from + 1
  for (;;) {
    const end = text.indexOf('"', start)
    if (end === -1) throw badBody('The CSV cannot be read', 'A quoted field is not closed')
    value += text.slice(start, end)
    if (text[end + 1] !== '"') return [value, end + 1]
    value += '"'
    start = end + 2
  }
}
