import { type AdminClient, segment } from '../admin-client.ts'
import { type Cell, table } from '../table.ts'
import type { Terminal } from '../terminal.ts'

/** What a shell speaks through. */
export interface Door {
  readonly admin: AdminClient
  readonly slug: string
  readonly reason: string | undefined
  readonly terminal: Terminal
}

interface Answer {
  readonly command: string
  readonly rowCount: number
  readonly columns: readonly string[]
  readonly rows: readonly (readonly unknown[])[]
  readonly truncated: boolean
}

/** Runs one statement, or one of the shell's own short commands, and shows what came back. */
export async function runStatement({ admin, slug, reason, terminal }: Door, text: string): Promise<void> {
  const body = { sql: describing(text) ?? text, reason }
  const answer = await admin.call<Answer>('POST', `/tenants/${segment(slug)}/sql`, { body })
  if (terminal.json) return terminal.data(answer)
  const { command, rowCount, columns, rows, truncated } = answer
  if (columns.length > 0)
    terminal.out(
      table(
        terminal,
        columns,
        rows.map((row) => row.map(cell)),
      ),
    )
  const verb = command === 'SELECT' ? '' : `${command} `
  terminal.note(
    `(${verb}${rowCount} row${rowCount === 1 ? '' : 's'}${truncated ? ', and more that are not shown' : ''})`,
  )
}

/** `\d` lists tables, `\d name` a table's columns. Null for anything else. */
export function describing(text: string): string | null {
  const [, name] = /^\\d(?:\s+"?([\w$]+)"?)?\s*;?$/.exec(text.trim()) ?? [null, null]
  if (name === null) return null
  if (name === undefined) {
    return `select c.relname as name, case c.relkind when 'v' then 'view' else 'table' end as kind
      from pg_class c where c.relnamespace = current_schema()::regnamespace and c.relkind in ('r', 'p', 'v') order by 1`
  }
  // The pattern above lets letters, digits, _ and $ through, so the name is safe between quotes.
  return `select a.attname as column, format_type(a.atttypid, a.atttypmod) as type, a.attnotnull as required
    from pg_attribute a join pg_class c on c.oid = a.attrelid
    where c.relnamespace = current_schema()::regnamespace and c.relname = '${name}' and a.attnum > 0
      and not a.attisdropped order by a.attnum`
}

function cell(value: unknown): Cell {
  if (value === null || value === undefined) return null
  return typeof value === 'number' ? value : typeof value === 'object' ? JSON.stringify(value) : String(value)
}
