import type { ConnectionOptions } from 'node:tls'
import type { PostgresHost, TlsSettings } from '../../config/index.ts'

/** Plain where it says nothing. */
export interface LinkTls {
  readonly tls?: TlsSettings['tls'] | undefined
  readonly ca?: TlsSettings['ca'] | undefined
}

/** Where a PostgreSQL server is, or the servers of which one is the primary, and how the links to it are protected. */
export interface PostgresServer extends LinkTls {
  /** May name several hosts. */
  readonly url: string
}

/** TLS options for one host: everything is verified, or the link is plain. */
export function sslFor({ tls = 'off', ca }: LinkTls): ConnectionOptions | false {
  return tls === 'off' ? false : { rejectUnauthorized: true, ...(ca ? { ca } : {}) }
}

export function addressOf({ host, port }: PostgresHost): string {
  return host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`
}
