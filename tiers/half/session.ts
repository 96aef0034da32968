import type { EventEmitter } from 'node:events'
import type { Socket } from 'node:net'
import type { Duplex } from 'node:stream'
import pg from 'pg'
import { isDatabaseError } from '../pg/batch.ts'
import type { Reachable } from '../pg/primary.ts'
import { type LinkTls, sslFor } from '../pg/server.ts'
import { take } from './frame.ts'

/** A session of PostgreSQL's protocol that somebody else opens and this process proves itself for. */
export interface Session {
  /** What the server says from here on, and what it is told. */
  readonly stream: Socket
  /** What it reported of itself, to be reported again. */
  readonly parameters: readonly (readonly [name: string, value: string])[]
  readonly processId: number
}

const CONNECT_MS = 10_000
const STARTUP_MS = 10_000
const STARTUP_BYTES_MAX = 4 * 1024
const PROTOCOL_3 = 196_608
/** By which servers' operators, and a takeover, tell our connections. */
const APPLICATION_NAME = /^innkeeper-[a-z0-9-]{1,53}$/

/** Reads how a client begins its session. @returns the name that the connection is to have */
export async function readStartup(channel: Duplex): Promise<string> {
  const signal = AbortSignal.timeout(STARTUP_MS)
  const length = (await take(channel, 4, signal)).readUInt32BE()
  if (length < 8 || length > STARTUP_BYTES_MAX) throw new Error('no session of PostgreSQL begins like that')
  const message = await take(channel, length - 4, signal)
  if (message.readUInt32BE() !== PROTOCOL_3) throw new Error('no session of PostgreSQL begins like that')
  const fields = message.subarray(4).toString().split('\0')
  const at = fields.indexOf('application_name')
  const name = at % 2 === 0 ? fields[at + 1]! : ''
  return APPLICATION_NAME.test(name) ? name : 'innkeeper-half'
}

/** Opens one with our own credential. The driver proves it; then its connection is taken from it. */
export async function openSession(
  host: Reachable,
  tls: LinkTls,
  database: string,
  applicationName: string,
): Promise<Session> {
  const client = new pg.Client({
    connectionString: host.url(database),
    connectionTimeoutMillis: CONNECT_MS,
    keepAlive: true,
    application_name: applicationName,
    ssl: sslFor(tls),
  })
  // Whoever has the stream hears of it.
  client.on('error', () => {})
  const { connection } = client as unknown as { connection: EventEmitter & { stream: Socket } }
  const parameters: [string, string][] = []
  connection.on('parameterStatus', (m: { parameterName: string; parameterValue: string }) =>
    parameters.push([m.parameterName, m.parameterValue]),
  )
  try {
    await client.connect()
  } catch (error) {
    client.end().catch(() => {})
    throw error
  }
  const { stream } = connection
  // From here on nobody reads but whoever is given it.
  stream.removeAllListeners('data')
  stream.pause()
  return { stream, parameters, processId: (client as unknown as { processID: number }).processID }
}

/** Tells the client that its session has begun. */
export function sayReady(channel: Duplex, { parameters, processId }: Session): void {
  const key = Buffer.alloc(8)
  key.writeInt32BE(processId)
  channel.write(
    Buffer.concat([
      message('R', Buffer.alloc(4)),
      ...parameters.map((pair) => message('S', text(...pair))),
      // Nobody cancels over the channel: without the secret it can be done by no one.
      message('K', key),
      message('Z', Buffer.from('I')),
    ]),
  )
}

/** Tells the client why there is none: in the server's words, or that there is no server. */
export function saySorry(channel: Duplex, error: unknown): void {
  const [code, what] = isDatabaseError(error)
    ? [error.code ?? '58000', error.message]
    : ['08006', 'the server is out of reach']
  channel.end(message('E', Buffer.concat([text('SFATAL', 'VFATAL', `C${code}`, `M${what}`), Buffer.alloc(1)])))
}

function message(kind: string, body: Buffer): Buffer {
  const head = Buffer.alloc(5)
  head.write(kind)
  head.writeUInt32BE(body.length + 4, 1)
  return Buffer.concat([head, body])
}

function text(...values: readonly string[]): Buffer {
  return Buffer.from(values.map((v) => `${v}\0`).join(''))
}
