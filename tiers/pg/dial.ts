import { once } from 'node:events'
import { connect as connectTcp, isIP, type Socket } from 'node:net'
import { connect as connectTls } from 'node:tls'
import type { PostgresHost } from '../../config/index.ts'
import { addressOf, type LinkTls, sslFor } from './server.ts'

/** PostgreSQL's SSLRequest: its length, and the number that stands for it. The answer is one letter. */
const SSL_REQUEST = Buffer.from([0, 0, 0, 8, 4, 210, 22, 47])
const YES = 'S'.charCodeAt(0)

/**
 * Connects to one host and, where the link is protected, proves that it is that host before a byte is said.
 *
 * @throws Error when it does not answer in time, offers no TLS, or its certificate is not for it or not by a known authority
 */
export async function dial(host: PostgresHost, tls: LinkTls, timeoutMs: number): Promise<Socket> {
  const plain = connectTcp({ host: host.host, port: host.port, noDelay: true })
  const closed = new AbortController()
  plain.once('close', () => closed.abort(new Error(`${addressOf(host)} closed the connection`)))
  // Whoever waits below hears of it too; without a listener at every moment it would end the process.
  plain.on('error', (error) => closed.abort(error))
  const happens = async (socket: Socket, event: string) => {
    const [value] = await Promise.race([once(socket, event), rejection(closed.signal)])
    return value as unknown
  }
  const timer = setTimeout(() => plain.destroy(new Error(`${addressOf(host)} did not answer in time`)), timeoutMs)
  try {
    await happens(plain, 'connect')
    const ssl = sslFor(tls)
    if (ssl === false) return plain
    plain.write(SSL_REQUEST)
    const answer = (await happens(plain, 'data')) as Buffer
    // More than the one letter would be somebody's who writes into the link before it is protected (CVE-2021-23214).
    if (answer[0] !== YES || answer.length > 1) throw new Error(`${addressOf(host)} offers no TLS`)
    const name = isIP(host.host) === 0 ? { servername: host.host } : {}
    const secure = connectTls({ ...ssl, ...name, socket: plain, host: host.host })
    await happens(secure, 'secureConnect')
    return secure
  } catch (error) {
    plain.destroy()
    throw error
  } finally {
    clearTimeout(timer)
  }
}

function rejection(signal: AbortSignal): Promise<never> {
  return new Promise((_resolve, reject) => {
    if (signal.aborted) reject(signal.reason)
    signal.addEventListener('abort', () => reject(signal.reason), { once: true })
  })
}
