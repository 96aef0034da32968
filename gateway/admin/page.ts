import type { AdminContext } from './env.ts'

/** One page of a list, and what the page after it begins after: null where there is none. */
export interface Page<T> {
  readonly page: readonly T[]
  readonly next: string | null
}

/**
 * Every list goes the same way: `limit`, the cursor `after`, `next` in the answer, and a Link header that leads there.
 *
 * @param list asks for one more than the page holds, which tells whether there is another page
 */
export async function paged<T>(
  c: AdminContext,
  limit: number,
  list: (limit: number) => Promise<readonly T[]>,
  cursorOf: (last: T) => string,
): Promise<Page<T>> {
  const found = await list(limit + 1)
  const page = found.slice(0, limit)
  const next = found.length > page.length ? cursorOf(page.at(-1)!) : null
  if (next !== null) c.header('link', `<${pageUrl(c, next)}>; rel="next"`)
  return { page, next }
}

function pageUrl(c: AdminContext, after: string): string {
  const url = new URL(c.req.url)
  url.searchParams.set('after', after)
  return url.pathname + url.search
}
