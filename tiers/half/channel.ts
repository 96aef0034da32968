import { constants } from 'node:crypto'
import { once } from 'node:events'
import type { AddressInfo } from 'node:net'
import { connect, createServer, type TLSSocket } from 'node:tls'
import type { PairKey, PairKeys, PostgresHost } from '../../config/index.ts'
import { InnkeeperError } from '../errors.ts'

/**
 * The channel between two halves of the mover: TLS, in which both prove themselves by a key that only the two of them have
 * (RFC 4279, RFC 8442). It is fresh for each connection, so nothing that was recorded can be played again, and a key that is
 * stolen later opens nothing of it. PSK is of TLS 1.2 here: Node's interface to it knows no later version.
 */
const SUITE = {
  ciphers: 'ECDHE-PSK-CHACHA20-POLY1305',
  minVersion: 'TLSv1.2',
  maxVersion: 'TLSv1.2',
} as const

const CONNECT_MS = 5_000
const HANDSHAKE_MS = 5_000
/** Of halves that vanished without a word. */
const KEEP_ALIVE_MS = 10_000
const CONNECTIONS_MAX = 1_000

export interface ChannelListener {
  readonly port: number
  /** Takes nobody any more. Whoever is connected stays. */
  close(): Promise<void>
}

export interface ListenOptions {
  readonly host: string
  readonly port: number
  readonly keys: PairKeys
  /** @param from the region that has proved itself */
  onPeer(channel: TLSSocket, from: string): void
  /** Somebody could not prove himself. He is told no more than that. */
  onStranger(address: string, why: string): void
}

export async function listenForHalves({
  host,
  port,
  keys,
  onPeer,
  onStranger,
}: ListenOptions): Promise<ChannelListener> {
  const callers = new WeakMap<TLSSocket, string>()
  const server = createServer({
    ...SUITE,
    // Nobody comes in by what an earlier connection has proved.
    secureOptions: constants.SSL_OP_NO_TICKET | constants.SSL_OP_NO_RENEGOTIATION,
    handshakeTimeout: HANDSHAKE_MS,
    // A caller that has said its last is still told how it ended.
    allowHalfOpen: true,
    pskCallback(socket, identity) {
      const known = keys.called(identity)
      if (known === null) return null
      callers.set(socket, known.from)
      return known.key
    },
  })
  server.maxConnections = CONNECTIONS_MAX
  server.on('secureConnection', (channel) => {
    prepare(channel)
    onPeer(channel, callers.get(channel)!)
  })
  server.on('tlsClientError', ({ message, code }: NodeJS.ErrnoException, socket) => {
    // Who hangs up before a word has only looked whether somebody listens.
    if (code !== 'ECONNRESET') onStranger(socket.remoteAddress ?? '', message)
    socket.destroySoon()
  })
  server.listen(port, host)
  await once(server, 'listening')
  return {
    port: (server.address() as AddressInfo).port,
    close: () => new Promise((resolve) => server.close(() => resolve())),
  }
}

/** @throws InnkeeperError `region_unavailable`; `unauthenticated` where the other half does not know the key, or is another */
export async function callHalf({ host, port }: PostgresHost, { key, id, to }: PairKey): Promise<TLSSocket> {
  const channel = connect({
    ...SUITE,
    host,
    port,
    pskCallback: () => ({ psk: key, identity: id }),
    // There is no certificate: who has the key is who is meant.
    checkServerIdentity: () => undefined,
  })
  const timer = setTimeout(() => channel.destroy(new Error('it did not answer in time')), CONNECT_MS)
  try {
    await once(channel, 'secureConnect')
    prepare(channel)
    return channel
  } catch (cause) {
    channel.destroy()
    const isRefused = /^ERR_SSL/.test((cause as NodeJS.ErrnoException).code ?? '')
    throw new InnkeeperError(
      isRefused ? 'unauthenticated' : 'region_unavailable',
      `The half of the mover in region ${to} ${isRefused ? 'does not know our key' : 'does not answer'}`,
      {
        cause,
        retryAfterMs: 1_000,
        hint: isRefused ? KEYS_HINT : 'Is it running, and reachable at regions.*.mover.url?',
      },
    )
  } finally {
    clearTimeout(timer)
  }
}

const KEYS_HINT = 'Do both ends have the public keys of the other: regions.*.mover.publicKeys?'

function prepare(channel: TLSSocket): void {
  channel.setNoDelay(true)
  channel.setKeepAlive(true, KEEP_ALIVE_MS)
  // Whoever uses it hears of it too.
  channel.on('error', () => {})
}
