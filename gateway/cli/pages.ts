import type { AdminClient } from './admin-client.ts'
import type { Terminal } from './terminal.ts'

const PAGE = 500

export interface PagesOptions {
  /** The path of the list, without a query. */
  readonly path: string
  /** Under what name the answer holds its part of the list. */
  readonly name: string
  /** What is undefined is left out. */
  readonly query?: Readonly<Record<string, string | undefined>>
  /** All of them where left out. */
  readonly limit?: number | undefined
}

/** Reads a list page by page, and says so where there is more of it than was asked for. */
export async function allPages<T>(
  admin: AdminClient,
  terminal: Terminal,
  { path, name, query = {}, limit = Number.POSITIVE_INFINITY }: PagesOptions,
): Promise<T[]> {
  const found: T[] = []
  const asked = new URLSearchParams(Object.entries(query).filter((e): e is [string, string] => e[1] !== undefined))
  for (;;) {
    asked.set('limit', String(Math.min(PAGE, limit - found.length)))
    const page = await admin.call<{ next: string | null } & Record<string, T[]>>('GET', `${path}?${asked}`)
    found.push(...page[name]!)
    if (page.next === null) return found
    if (found.length >= limit) {
      terminal.note(`There are more: --limit says how many are shown.`)
      return found
    }
    asked.set('after', page.next)
  }
}
