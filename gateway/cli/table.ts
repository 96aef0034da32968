import { stripVTControlCharacters } from 'node:util'
import { printable, type Terminal } from './terminal.ts'

export type Cell = string | number | null | undefined

/** Aligned columns under a head; numbers to the right. Colours take no width. */
export function table(terminal: Terminal, head: readonly string[], rows: readonly (readonly Cell[])[]): string {
  const text = (cell: Cell) => (cell === null || cell === undefined ? '-' : inOneLine(String(cell)))
  const widths = head.map((h, i) => Math.max(h.length, ...rows.map((r) => width(text(r[i])))))
  const line = (cells: readonly Cell[]) =>
    cells
      .map((cell, i) => {
        const gap = ' '.repeat(widths[i]! - width(text(cell)))
        return typeof cell === 'number' ? gap + text(cell) : text(cell) + gap
      })
      .join('  ')
      .trimEnd()
  const heading = terminal.paint('bold', line(head))
  return [heading, ...rows.map(line)].join('\n')
}

/** Names and values, one pair a line. */
export function pairs(terminal: Terminal, values: Readonly<Record<string, Cell>>): string {
  const longest = Math.max(...Object.keys(values).map((k) => k.length))
  return Object.entries(values)
    .map(([k, v]) => `${terminal.paint('bold', k.padEnd(longest))}  ${v ?? '-'}`)
    .join('\n')
}

const width = (text: string) => stripVTControlCharacters(text).length

/** A value from a database can hold new lines, which would break the columns, and what has no width that could be told. */
const inOneLine = (text: string) => printable(text.replaceAll(/[\n\r\t]/g, ' '))
