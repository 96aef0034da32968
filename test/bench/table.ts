import { goalsOf, type Row } from './row.ts'

const HEADER = ['', '', '', 'against', 'goal']

/** All rows as one table of text. */
export function table(rows: readonly Row[]): string {
  const lines = rows.map((row, i) => [
    row.bench === rows[i - 1]?.bench ? '' : row.bench,
    row.what,
    `${amount(row.value)} ${row.unit}`,
    Object.entries(row.ratios ?? {})
      .map(([of, ratio]) => `${ratio.toFixed(2)} of ${of}`)
      .join(', '),
    goalsOf(row)
      .map(
        (g) =>
          `${g.atLeast === undefined ? `<= ${g.atMost}` : `>= ${g.atLeast}`} ${g.of}: ${g.met ? 'met' : 'NOT MET'}`,
      )
      .join(', '),
  ])
  const all = [HEADER, ...lines]
  const widths = HEADER.map((_, column) => Math.max(...all.map((line) => line[column]!.length)))
  return all
    .map((line) =>
      line
        .map((cell, column) => padded(cell, column, widths[column]!))
        .join('  ')
        .trimEnd(),
    )
    .join('\n')
}

/** The column of values stands to the right, the others to the left. */
function padded(cell: string, column: number, width: number): string {
  return column === 2 ? cell.padStart(width) : cell.padEnd(width)
}

function amount(value: number): string {
  if (value >= 1_000) return Math.round(value).toLocaleString('en-US')
  return value >= 100 ? value.toFixed(0) : value.toFixed(2)
}
