/**
 * The host that the client asked for, as it was written.
 *
 * @param isTrusted whether who sent the request may speak of another one's
 */
export function originalHost(headers: Headers, isTrusted: boolean): string {
  return (isTrusted ? headers.get('x-forwarded-host') : null) ?? headers.get('host') ?? ''
}

/** What the request line asks for, in origin form: a path and a query, also where it named a host too. */
export function originForm(target: string): string {
  if (target.startsWith('/')) return target
  const start = target.indexOf('/', target.indexOf('://') + 3)
  if (!/^https?:\/\//i.test(target)) return target
  return start === -1 ? '/' : target.slice(start)
}
