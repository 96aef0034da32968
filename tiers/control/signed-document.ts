import {
  createPrivateKey,
  createPublicKey,
  hkdfSync,
  type KeyObject,
  sign as signBytes,
  verify as verifyBytes,
} from 'node:crypto'

/**
 * Documents that are believed outside: certificates of moves, reports of where data lives. Whoever has the file checks it
 * with nothing but the file, and then compares the key's name with the one that the control plane shows.
 */

export interface SignedDocument<Document = unknown> {
  readonly document: Document
  /** Ed25519 (RFC 8032) over the canonical text of the document, base64url. */
  readonly signature: string
  /** The public key itself, base64url: what it says about a document can be checked offline. */
  readonly keyId: string
}

export interface SigningKey {
  readonly keyId: string
  readonly privateKey: KeyObject
}

/** An Ed25519 private key in PKCS #8, without its last 32 bytes: the seed (RFC 8410). */
const PKCS8_HEAD = Buffer.from('302e020100300506032b657004220420', 'hex')

/**
 * @param secret `control.signingKey` of the configuration: the same secret always gives the same key
 */
export function signingKey(secret: Buffer): SigningKey {
  const seed = Buffer.from(hkdfSync('sha256', secret, 'innkeeper', 'signed documents', 32))
  const privateKey = createPrivateKey({ key: Buffer.concat([PKCS8_HEAD, seed]), format: 'der', type: 'pkcs8' })
  return { privateKey, keyId: createPublicKey(privateKey).export({ format: 'jwk' }).x! }
}

/** @throws TypeError where the document holds what JSON cannot say */
export function sign<Document>(document: Document, { privateKey, keyId }: SigningKey): SignedDocument<Document> {
  const signature = signBytes(null, Buffer.from(canonicalJson(document)), privateKey).toString('base64url')
  return { document, signature, keyId }
}

/** Whether the signature is that of this document by that key. It says nothing about whose key it is. */
export function verify({ document, signature, keyId }: SignedDocument): boolean {
  try {
    const key = createPublicKey({ key: { kty: 'OKP', crv: 'Ed25519', x: keyId }, format: 'jwk' })
    return verifyBytes(null, Buffer.from(canonicalJson(document)), key, Buffer.from(signature, 'base64url'))
  } catch {
    // Not a key, not a signature, not a document.
    return false
  }
}

/**
 * One text for one value, whatever order its keys came in: RFC 8785, whose numbers and strings are ECMAScript's own. A key
 * without a value is left out, and a date is its text, as JSON has it.
 */
export function canonicalJson(value: unknown): string {
  return text(JSON.parse(JSON.stringify(value)))
}

function text(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(text).join(',')}]`
  if (typeof value !== 'object' || value === null) return JSON.stringify(value)
  const pairs = Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1))
  return `{${pairs.map(([key, inner]) => `${JSON.stringify(key)}:${text(inner)}`).join(',')}}`
}
