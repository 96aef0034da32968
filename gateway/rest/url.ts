/**
 * Takes a request's URL apart. The path is as the client sent it: still percent-encoded, so it may go into a header, and
 * with whatever stands before the place where the API is mounted, such as a tenant's name.
 */
export function splitUrl(url: string): { path: string; query: string } {
  const start = url.indexOf('/', url.indexOf('//') + 2)
  const mark = url.indexOf('?')
  if (mark === -1) return { path: url.slice(start), query: '' }
  return { path: url.slice(start, mark), query: url.slice(mark + 1) }
}
