/** Of this connection, not of the message (RFC 9110, 7.6.1); and `expect`, which was answered here. */
const HOP_BY_HOP: ReadonlySet<string> = new Set([
  'connection',
  'expect',
  'keep-alive',
  'proxy-authenticate',
  'proxy-authorization',
  'proxy-connection',
  'te',
  'trailer',
  'transfer-encoding',
  'upgrade',
])

/** What this gateway says of the request itself, so that a client's own word for it does not arrive. */
const OURS: ReadonlySet<string> = new Set([
  'content-length',
  'forwarded',
  'host',
  'traceparent',
  'x-innkeeper-hop',
  'x-request-id',
])

export interface PeerRequestHeaders {
  /** Of the client's request, names and values in turn. */
  readonly raw: readonly string[]
  /** Added, names in lower case; null adds nothing. */
  readonly own: Readonly<Record<string, string | null>>
  /** Whether the client may say whose tenant it speaks for. */
  readonly isTrusted: boolean
}

/** The headers of the request to the peer, names and values in turn. */
export function requestHeaders({ raw, own, isTrusted }: PeerRequestHeaders): string[] {
  const headers: string[] = []
  for (const name in own) {
    const value = own[name]
    if (value !== null && value !== undefined) headers.push(name, value)
  }
  const named = namedByConnection(raw)
  for (let i = 0; i < raw.length; i += 2) {
    const name = raw[i]!.toLowerCase()
    if (HOP_BY_HOP.has(name) || OURS.has(name) || named.has(name) || name.startsWith('x-forwarded-')) continue
    if (name === 'x-tenant-id' && !isTrusted) continue
    headers.push(name, raw[i + 1]!)
  }
  return headers
}

/** The headers of the peer's answer that are the client's, names and values in turn. */
export function answerHeaders(raw: readonly (Buffer | string)[]): string[] {
  const all = raw.map((part) => (typeof part === 'string' ? part : part.toString('latin1')))
  const named = namedByConnection(all)
  const headers: string[] = []
  for (let i = 0; i < all.length; i += 2) {
    const name = all[i]!.toLowerCase()
    if (!HOP_BY_HOP.has(name) && !named.has(name)) headers.push(all[i]!, all[i + 1]!)
  }
  return headers
}

const NONE: ReadonlySet<string> = new Set()

/** `Connection: close, x-mine` says that x-mine goes no further. */
function namedByConnection(raw: readonly string[]): ReadonlySet<string> {
  let named: Set<string> | null = null
  for (let i = 0; i < raw.length; i += 2) {
    if (raw[i]!.length !== 10 || raw[i]!.toLowerCase() !== 'connection') continue
    for (const part of raw[i + 1]!.split(',')) {
      named ??= new Set()
      named.add(part.trim().toLowerCase())
    }
  }
  return named ?? NONE
}
