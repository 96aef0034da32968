/** One server of a PostgreSQL URL. */
export interface PostgresHost {
  readonly host: string
  readonly port: number
}

/** What a session must be: anything, not on a replica, or not on a replica and not read-only by default either. */
export type SessionTarget = 'any' | 'primary' | 'read-write'

/** A postgres:// URL, which may name several hosts as libpq has it: the same data on each, one of them the primary. */
export interface PostgresUrl {
  readonly user: string
  readonly password: string
  readonly hosts: readonly [PostgresHost, ...PostgresHost[]]
  readonly database: string
  readonly target: SessionTarget
  /** The same URL of one host alone, as every driver reads it. */
  one(host: PostgresHost, database?: string): string
}

const SHAPE = /^postgres(?:ql)?:\/\/([^/?#]*)(?:\/([^?#]*))?(?:\?([^#]*))?$/
const HOST = /^(\[[0-9a-f:.]+\]|[^\s:[\]]+)(?::(\d{1,5}))?$/i
const TARGETS: readonly string[] = ['any', 'primary', 'read-write'] satisfies SessionTarget[]
/** Drivers disagree on what they mean, and some switch verification off. */
const TLS_PARAMETERS = /^(?:ssl|sslmode|sslrootcert|sslcert|sslkey|sslnegotiation|uselibpqcompat)$/

/**
 * Reads a postgres:// URL. Several hosts without `target_session_attrs` mean `read-write`, since a cluster is written to.
 *
 * @throws TypeError that says what is wrong and what to do, with nothing of the credentials in it
 */
export function parsePostgresUrl(text: string): PostgresUrl {
  const [, authority, path = '', query = ''] = SHAPE.exec(text) ?? []
  if (authority === undefined) throw new TypeError(notAUrl(text))
  const at = authority.lastIndexOf('@')
  const login = authority.slice(0, Math.max(0, at))
  const hosts = authority
    .slice(at + 1)
    .split(',')
    .map(hostOf)
  const names = new Set(hosts.map((h) => `${h.host}:${h.port}`))
  if (names.size < hosts.length) throw new TypeError('names the same host and port twice')
  const parameters = new URLSearchParams(query)
  const target = targetOf(parameters.get('target_session_attrs'), hosts.length)
  parameters.delete('target_session_attrs')
  for (const name of parameters.keys()) {
    if (TLS_PARAMETERS.test(name)) {
      throw new TypeError(`has ${name}=, which is not read: write tls: 'verify-full' (and caFile) in the configuration`)
    }
  }
  const colon = login.indexOf(':')
  const rest = parameters.size === 0 ? '' : `?${parameters}`
  return {
    user: decodeURIComponent(colon === -1 ? login : login.slice(0, colon)),
    password: decodeURIComponent(colon === -1 ? '' : login.slice(colon + 1)),
    hosts: hosts as [PostgresHost, ...PostgresHost[]],
    database: decodeURIComponent(path),
    target,
    one({ host, port }, database) {
      const name = database === undefined ? path : encodeURIComponent(database)
      const address = host.includes(':') ? `[${host}]` : host
      return `postgres://${at === -1 ? '' : `${login}@`}${address}:${port}/${name}${rest}`
    },
  }
}

/** What is wrong with a URL of a configuration; null where nothing is. */
export function postgresUrlFault(text: string): string | null {
  try {
    parsePostgresUrl(text)
    return null
  } catch (error) {
    return (error as Error).message
  }
}

function hostOf(text: string): PostgresHost {
  const [, host, port = '5432'] = HOST.exec(text) ?? []
  if (host === undefined) throw new TypeError(`has "${text}" where a host belongs; write host:port,host:port`)
  if (Number(port) < 1 || Number(port) > 65_535) throw new TypeError(`has port ${port}; ports go from 1 to 65535`)
  return Object.freeze({ host: host.replace(/^\[|\]$/g, ''), port: Number(port) })
}

function targetOf(written: string | null, hosts: number): SessionTarget {
  if (written === null) return hosts === 1 ? 'any' : 'read-write'
  if (!TARGETS.includes(written) || (written === 'any' && hosts > 1)) {
    throw new TypeError(
      `has target_session_attrs=${written}; it is written to, so say read-write, or primary, or leave it out`,
    )
  }
  return written as SessionTarget
}

function notAUrl(text: string): string {
  const scheme = /^([a-z][a-z0-9+.-]*:)/i.exec(text)?.[1]
  if (scheme === undefined || /^postgres(?:ql)?:$/.test(scheme)) {
    return 'is not a URL; write postgres://user:password@host:port/database'
  }
  return `starts with ${scheme}, not postgres:`
}
