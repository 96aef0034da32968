import { createCipheriv, createDecipheriv, hkdfSync, randomBytes } from 'node:crypto'
import type { Transform } from 'node:stream'
import { InnkeeperError } from '../errors.ts'
import { chunks } from './chunks.ts'
import type { KeyRing } from './key-ring.ts'

/**
 * The form of what a region keeps: a line that names the key, then chunks of 64 KiB, each sealed with AES-256-GCM under a
 * key of this text alone. The nonce is the chunk's number and whether it is the last, so that none can be left out, put
 * elsewhere or cut off unnoticed (the STREAM construction of Hoang, Reyhanitabar, Rogaway and Vizár, 2015).
 */

/** What a sealed text is for: one that was made for something else is not taken for this. */
export type Purpose = 'directory' | 'export'

export interface SealedHead {
  readonly purpose: Purpose
  readonly keyId: string
  /** As it stands in front, with its line feed. */
  readonly line: string
}

const HEAD = /^innkeeper-sealed 1 (directory|export) ([0-9a-f]{16}) [A-Za-z0-9_-]{43}\n/
export const HEAD_BYTES_MAX = 128
const CHUNK_BYTES = 64 * 1024
const TAG_BYTES = 16

/** @param start the first {@link HEAD_BYTES_MAX} bytes, or all. @returns null for what is not sealed */
export function headOf(start: Buffer): SealedHead | null {
  const match = HEAD.exec(start.subarray(0, HEAD_BYTES_MAX).toString('latin1'))
  return match && { line: match[0], purpose: match[1] as Purpose, keyId: match[2]! }
}

/** Seals with the key in use. */
export function sealing(ring: KeyRing, purpose: Purpose): Transform {
  const salt = randomBytes(32).toString('base64url')
  const line = `innkeeper-sealed 1 ${purpose} ${ring.currentId} ${salt}\n`
  const key = textKey(ring, ring.currentId, line)
  const stream = chunks({
    bytes: CHUNK_BYTES,
    each(piece, number, isLast) {
      const cipher = createCipheriv('aes-256-gcm', key, nonceOf(number, isLast))
      return Buffer.concat([cipher.update(piece), cipher.final(), cipher.getAuthTag()])
    },
  })
  stream.push(line)
  return stream
}

/**
 * Gives back what was sealed, chunk by chunk, each proved before it comes. That the end is missing shows at the end only:
 * whoever may not use a part waits for it.
 *
 * The stream fails with `invalid_request` for what is not sealed for this purpose, was changed or is cut off, and with
 * `invalid_config` where the key is not in the ring.
 */
export function unsealing(ring: KeyRing, purpose: Purpose): Transform {
  let open: OpenChunk
  return chunks({
    bytes: CHUNK_BYTES + TAG_BYTES,
    head(start, isAll) {
      if (start.length < HEAD_BYTES_MAX && !isAll) return null
      const head = requireHead(start, purpose)
      open = opener(ring, head)
      return head.line.length
    },
    each: (piece, number, isLast) => open(piece, number, isLast),
  })
}

/** The same for what is small enough to be held. @throws InnkeeperError like {@link unsealing} */
export function unseal(ring: KeyRing, purpose: Purpose, sealed: Buffer): Buffer {
  const head = requireHead(sealed, purpose)
  const open = opener(ring, head)
  const pieces: Buffer[] = []
  const step = CHUNK_BYTES + TAG_BYTES
  let at = head.line.length
  for (; sealed.length - at > step; at += step) pieces.push(open(sealed.subarray(at, at + step), pieces.length, false))
  pieces.push(open(sealed.subarray(at), pieces.length, true))
  return Buffer.concat(pieces)
}

type OpenChunk = (chunk: Buffer, number: number, isLast: boolean) => Buffer

function opener(ring: KeyRing, head: SealedHead): OpenChunk {
  const key = textKey(ring, head.keyId, head.line)
  return (chunk, number, isLast) => {
    if (chunk.length < TAG_BYTES) throw damaged()
    const decipher = createDecipheriv('aes-256-gcm', key, nonceOf(number, isLast))
    decipher.setAuthTag(chunk.subarray(-TAG_BYTES))
    const text = decipher.update(chunk.subarray(0, -TAG_BYTES))
    try {
      return Buffer.concat([text, decipher.final()])
    } catch (cause) {
      throw damaged(cause)
    }
  }
}

function requireHead(start: Buffer, purpose: Purpose): SealedHead {
  const head = headOf(start)
  if (head === null) throw new InnkeeperError('invalid_request', 'This is not sealed: it has no head')
  if (head.purpose === purpose) return head
  throw new InnkeeperError('invalid_request', `This was sealed as ${head.purpose}, not as ${purpose}`)
}

/** The whole head is part of the key: it cannot be changed either. */
function textKey(ring: KeyRing, id: string, line: string): Buffer {
  return Buffer.from(hkdfSync('sha256', ring.keyOf(id), 'innkeeper', `sealed:${line}`, 32))
}

function nonceOf(number: number, isLast: boolean): Buffer {
  const nonce = Buffer.alloc(12)
  nonce.writeBigUInt64BE(BigInt(number), 3)
  nonce[11] = isLast ? 1 : 0
  return nonce
}

function damaged(cause?: unknown): InnkeeperError {
  return new InnkeeperError('invalid_request', 'What is sealed was changed, or is cut off', { cause })
}
