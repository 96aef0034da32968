import type { Socket } from 'node:net'
import { Duplex } from 'node:stream'
import postgres from 'postgres'
import { type PostgresHost, parsePostgresUrl } from '../../config/index.ts'
import { dial } from './dial.ts'
import { endGently } from './gentle-end.ts'
import { createPrimary, type Primary } from './primary.ts'
import { renewable } from './renewable.ts'
import type { PostgresServer } from './server.ts'
import { standardParsers, wireValues } from './values.ts'

/** A pool of the `postgres` package: for the control side, notifications and bulk work, never for a tenant's statement. */
export interface Link {
  readonly sql: postgres.Sql
  /** Gives up every connection and goes on with new ones: see {@link Renewable}. */
  renew(): void
  /** @param timeoutS how long what runs may take to end */
  close(timeoutS: number): Promise<void>
}

export interface LinkOptions {
  readonly applicationName: string
  readonly max: number
  /** That of the server's URL where left out. */
  readonly database?: string | null
  /** Of one attempt at one host; 10,000 where left out. */
  readonly connectTimeoutMs?: number
  readonly idleTimeoutS?: number
  /** Watches which host is the primary, as what lives as long as its process has to. */
  readonly isWatching?: boolean
}

/** How soon a lost connection is made anew. */
const RECONNECT_S = 0.1
/** And where the last attempt failed: steadily, so that the end of a long outage is noticed as soon as that of a short one. */
const RETRY_S = 0.5
/** How long a new connection looks for a primary, where there are several hosts. */
const LOOK_MS = 5_000

/** Of text, uuid, name, int8, int4, int2, oid, bool. */
const ARRAY_OIDS = [1009, 2951, 1003, 1016, 1007, 1005, 1028, 1000]

/**
 * The package asks a server for its array types whenever it connects. A server that dies just then ends the process: the
 * package rejects a promise that nobody holds, and what waits for that connection waits for ever. So these are known here.
 */
const ARRAYS = Object.fromEntries(
  ARRAY_OIDS.map((oid): [string, postgres.PostgresType<readonly unknown[]>] => [
    `array${oid}`,
    {
      to: oid,
      from: [oid],
      serialize: (values: readonly unknown[]) => wireValues([values])[0],
      parse: standardParsers(oid, 'text') as (text: string) => unknown[],
    },
  ]),
)

/**
 * Opens a pool on a server. Connecting is done here and not by the package: that takes a replica for a server to write to,
 * gives up at the first host that is silent, compares a certificate with `localhost` where the host is an address, and is
 * harmed by connections that end (see {@link endGently}).
 *
 * `reserve()` is not to be used on it: what is given back when its connection has ended breaks the pool.
 */
export function openLink(server: PostgresServer, options: LinkOptions): Link {
  const { database, max, connectTimeoutMs = 10_000, idleTimeoutS, isWatching = false } = options
  const { hosts, target, one } = parsePostgresUrl(server.url)
  const sockets = new Map<Socket, PostgresHost>()
  const leaveOthers = (host: PostgresHost) => {
    for (const [socket, itsHost] of sockets) if (itsHost !== host) socket.destroy()
  }
  const primary = createPrimary({
    server,
    database: database ?? undefined,
    waitMs: LOOK_MS,
    ...(isWatching ? { onChange: leaveOthers } : {}),
  })
  const socket = () =>
    primary.open(async ({ host }) => {
      const dialled = await dial(host, server, connectTimeoutMs)
      sockets.set(dialled, host)
      return dialled.once('close', () => {
        sockets.delete(dialled)
        primary.doubt()
      })
    })
  const { reach } = server
  const reached = reach === undefined ? socket : () => reach(database ?? '')
  let isDown = false
  const gently = async () => {
    const made = await reached().then(
      (channel) => {
        isDown = false
        return channel
      },
      (error: Error) => {
        isDown = true
        return failed(error)
      },
    )
    endGently(made)
    return made
  }
  const settings = {
    max,
    // Notices of "already exists, skipping" are the normal course of an idempotent installer.
    onnotice: () => {},
    connect_timeout: Math.ceil(connectTimeoutMs / 1000),
    backoff: () => (isDown ? RETRY_S : RECONNECT_S),
    ...(idleTimeoutS === undefined ? {} : { idle_timeout: idleTimeoutS }),
    connection: { application_name: options.applicationName },
    fetch_types: false,
    types: ARRAYS,
    target_session_attrs: target === 'any' ? undefined : ('primary' as const),
    socket: gently,
  }
  const { sql, renew } = renewable(() => postgres(one(hosts[0], database ?? undefined), settings))
  return { sql, renew, close: (timeoutS) => closeLink(sql, primary, timeoutS) }
}

async function closeLink(sql: postgres.Sql, primary: Primary, timeoutS: number): Promise<void> {
  primary.close()
  await sql.end({ timeout: timeoutS })
}

/**
 * The package waits for ever for a connection whose making throws; it hears of a socket that fails. Not before it has written to
 * it: a socket that closes while its first words are still to be sent would leave them with the package, which then sends
 * nothing on the next one either, until its time is over.
 */
function failed(error: Error): Duplex {
  return new Duplex({ read() {}, write: (_chunk, _encoding, done) => done(error) })
}
