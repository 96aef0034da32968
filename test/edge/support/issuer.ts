import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { type CryptoKey, exportJWK, generateKeyPair, type JWK, SignJWT } from 'jose'

/** An issuer of tokens with a JWKS endpoint on a real port, whose keys can be rotated and which can be taken down. */
export interface Issuer {
  readonly issuer: string
  readonly jwksUrl: string
  /** How often the key set was fetched. */
  readonly fetches: () => number
  readonly publicJwk: () => JWK
  sign(claims: Record<string, unknown>, options?: SignOptions): Promise<string>
  /** A new key in place of the old one, or beside it; key ids are told where they are not kept out. */
  rotate(how?: { readonly besides?: boolean; readonly withoutIds?: boolean }): Promise<void>
  setUp(isUp: boolean): void
  close(): Promise<void>
}

export interface SignOptions {
  readonly alg?: string
  readonly header?: Record<string, unknown>
  readonly expiresIn?: string | number | null
  readonly audience?: string
  readonly issuer?: string
  readonly key?: CryptoKey | Uint8Array
}

export async function startIssuer(alg = 'ES256'): Promise<Issuer> {
  let serial = 0
  let served: JWK[] = []
  let current: { privateKey: CryptoKey; jwk: JWK }
  let isUp = true
  let fetches = 0

  async function rotate({ besides = false, withoutIds = false } = {}): Promise<void> {
    const { privateKey, publicKey } = await generateKeyPair(alg, { extractable: true })
    current = { privateKey, jwk: { ...(await exportJWK(publicKey)), kid: `key-${++serial}`, alg, use: 'sig' } }
    served = [...(besides ? served : []), current.jwk]
    if (withoutIds) served = served.map(({ kid: _kid, ...jwk }) => jwk)
  }
  await rotate()

  const server = createServer((_req, res) => {
    fetches++
    res.writeHead(isUp ? 200 : 503, { 'content-type': 'application/json' })
    res.end(isUp ? JSON.stringify({ keys: served }) : '{}')
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`

  return {
    issuer: url,
    jwksUrl: `${url}/jwks.json`,
    fetches: () => fetches,
    publicJwk: () => current.jwk,
    async sign(claims, options = {}) {
      const { expiresIn = '5m', audience = 'innkeeper', issuer = url, key = current.privateKey } = options
      const jwt = new SignJWT(claims)
        .setProtectedHeader({ alg: options.alg ?? alg, kid: current.jwk.kid!, ...options.header })
        .setIssuer(issuer)
        .setAudience(audience)
        .setIssuedAt()
      if (expiresIn !== null) jwt.setExpirationTime(expiresIn)
      return jwt.sign(key)
    },
    rotate,
    setUp(value) {
      isUp = value
    },
    close: () =>
      new Promise((resolve) => {
        server.closeAllConnections()
        server.close(() => resolve())
      }),
  }
}
