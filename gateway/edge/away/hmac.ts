import { hash } from 'node:crypto'

const BLOCK_BYTES = 64
const DIGEST_BYTES = 32

/**
 * HMAC-SHA-256 with a key that is prepared once (RFC 2104): the hash of the outer pad and the hash of the inner pad and
 * the text. A `createHmac` for each text prepares the key anew, which takes ten times as long as the two hashes.
 *
 * @param key at most 64 bytes
 * @returns gives the digest of a text in base64url
 */
export function createHmacOf(key: Buffer): (text: string) => string {
  if (key.length > BLOCK_BYTES) throw new RangeError(`The key is longer than ${BLOCK_BYTES} bytes`)
  const padded = Buffer.concat([key], BLOCK_BYTES)
  const innerPad = padded.map((byte) => byte ^ 0x36)
  const outer = Buffer.alloc(BLOCK_BYTES + DIGEST_BYTES)
  padded.forEach((byte, i) => {
    outer[i] = byte ^ 0x5c
  })
  return (text) => {
    const inner = Buffer.allocUnsafe(BLOCK_BYTES + Buffer.byteLength(text))
    inner.set(innerPad)
    inner.write(text, BLOCK_BYTES)
    outer.set(hash('sha256', inner, 'buffer'), BLOCK_BYTES)
    return hash('sha256', outer, 'base64url')
  }
}
