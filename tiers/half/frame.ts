import { once } from 'node:events'
import type { Duplex } from 'node:stream'

/** What is said before a channel carries bytes of another protocol: a JSON value, after its length in four bytes. */

const BYTES_MAX = 64 * 1024
const HEAD_BYTES = 4

export function writeFrame(stream: Duplex, value: unknown): void {
  const text = Buffer.from(JSON.stringify(value))
  const head = Buffer.alloc(HEAD_BYTES)
  head.writeUInt32BE(text.length)
  stream.write(Buffer.concat([head, text]))
}

/**
 * Reads one, and nothing that follows it.
 *
 * @throws Error when it does not come in time, the stream ends before, or it is too long
 */
export async function readFrame(stream: Duplex, timeoutMs: number): Promise<unknown> {
  const signal = AbortSignal.timeout(timeoutMs)
  const length = (await take(stream, HEAD_BYTES, signal)).readUInt32BE()
  if (length > BYTES_MAX) throw new Error('what was said is too long')
  return JSON.parse((await take(stream, length, signal)).toString())
}

/** So many bytes, and no more of them are taken out of the stream. */
export async function take(stream: Duplex, bytes: number, signal: AbortSignal): Promise<Buffer> {
  for (;;) {
    const taken = stream.read(bytes) as Buffer | null
    if (taken?.length === bytes) return taken
    if (taken !== null || stream.readableEnded || stream.destroyed) throw new Error('the other end went away')
    await Promise.race([once(stream, 'readable', { signal }), once(stream, 'close', { signal })])
  }
}
