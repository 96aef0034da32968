import type { ConnectionOptions } from 'node:tls'
import type { ClusterConfig, PostgresHost, Reach, TlsSettings } from '../../config/index.ts'
import { InnkeeperError } from '../errors.ts'

/** Plain where it says nothing. */
export interface LinkTls {
  readonly tls?: TlsSettings['tls'] | undefined
  readonly ca?: TlsSettings['ca'] | undefined
}

/** Where a PostgreSQL server is, or the servers of which one is the primary, and how the links to it are protected. */
export interface PostgresServer extends LinkTls {
  /** May name several hosts. */
  readonly url: string
  /** Where sessions are opened by somebody else, who proves himself in our place: then the URL leads nowhere. */
  readonly reach?: Reach | undefined
}

/** Of a cluster that is reached by {@link PostgresServer.reach}: what drivers want to be told, and nothing of it is used. */
const NOWHERE = 'postgres://innkeeper@nowhere.invalid/postgres'

/** A cluster as the role that makes rooms reaches it. @throws InnkeeperError `invalid_config` where this process cannot */
export function adminServerOf({ name, adminUrl, tls, ca, reach }: ClusterConfig): PostgresServer {
  if (reach !== undefined) return { url: NOWHERE, reach }
  if (adminUrl === null) throw new InnkeeperError('invalid_config', `no admin URL of cluster ${name}`)
  return { url: adminUrl, tls, ca }
}

/** TLS options for one host: everything is verified, or the link is plain. */
export function sslFor({ tls = 'off', ca }: LinkTls): ConnectionOptions | false {
  return tls === 'off' ? false : { rejectUnauthorized: true, ...(ca ? { ca } : {}) }
}

export function addressOf({ host, port }: PostgresHost): string {
  return host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`
}
