import { createPrivateKey, createPublicKey, diffieHellman, type KeyObject } from 'node:crypto'

/** Keys of X25519 (RFC 7748) as 32 bare bytes; any 32 bytes are a private key. */

// What stands before the bytes in PKCS #8 and SPKI (RFC 8410), the forms that the platform reads.
const PRIVATE_HEAD = Buffer.from('302e020100300506032b656e04220420', 'hex')
const PUBLIC_HEAD = Buffer.from('302a300506032b656e032100', 'hex')

/** @param key 32 bytes */
export function publicKeyOf(key: Buffer): Buffer {
  return createPublicKey(privateKey(key)).export({ format: 'der', type: 'spki' }).subarray(PUBLIC_HEAD.length)
}

/**
 * What the owners of two private keys know and nobody else does.
 * @throws for a public key that makes a secret that everybody knows
 */
export function sharedSecret(ownKey: Buffer, publicKey: Buffer): Buffer {
  const spki = Buffer.concat([PUBLIC_HEAD, publicKey])
  return diffieHellman({
    privateKey: privateKey(ownKey),
    publicKey: createPublicKey({ key: spki, format: 'der', type: 'spki' }),
  })
}

function privateKey(key: Buffer): KeyObject {
  return createPrivateKey({ key: Buffer.concat([PRIVATE_HEAD, key]), format: 'der', type: 'pkcs8' })
}
