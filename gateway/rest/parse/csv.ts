import { badBody } from '../errors.ts'

/**
 * Turns CSV (RFC 4180, with a header line) into the JSON text of an array of objects, which the database then reads as
 * it reads any other payload. An unquoted NULL is null; everything else is text that the column's type reads.
 *
 * @throws RestError PGRST102 when a row has another number of fields than the header, or a quote is not closed
 */
export function csvToJson(text: string): { json: string; columns: readonly string[]; rows: number } {
  const lines = parseCsv(text)
  const header = lines.shift()?.map((field) => field ?? 'NULL')
  if (header === undefined) throw badBody('The CSV has no header line')
  const objects = lines.map((fields, index) => {
    if (fields.length !== header.length) {
      throw badBody(
        'All lines must have same number of fields',
        `Line ${index + 2} has ${fields.length}, the header ${header.length}`,
      )
    }
    return Object.fromEntries(header.map((name, at) => [name, fields[at]]))
  })
  return { json: JSON.stringify(objects), columns: header, rows: objects.length }
}

function parseCsv(text: string): (string | null)[][] {
  const lines: (string | null)[][] = []
  let fields: (string | null)[] = []
  let at = 0
  while (at < text.length) {
    const quoted = text[at] === '"'
    const [value, next] = quoted ? quotedField(text, at) : bareField(text, at)
    fields.push(value)
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
    lines.push(fields)
    fields = []
  }
  return lines
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
