import { createHmac, generateKeyPairSync } from 'node:crypto'
import { type CryptoKey, exportSPKI, generateKeyPair, importJWK } from 'jose'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { createVerifyJwt, type VerifyJwt } from '../../gateway/edge/jwt.ts'
import { isInnkeeperError } from '../../tiers/errors.ts'
import { testConfig } from './support/gateway.ts'
import { type Issuer, startIssuer } from './support/issuer.ts'

let issuer: Issuer
let verify: VerifyJwt

beforeAll(async () => {
  issuer = await startIssuer('RS256')
  verify = createVerifyJwt(configOf(issuer))
})
afterAll(() => issuer.close())

const configOf = ({ issuer, jwksUrl }: Issuer, more = {}) =>
  testConfig({ jwt: [{ issuer, jwksUrl, audience: 'innkeeper', ...more }] }).jwt

const claims = { sub: 'u1', tenant: 'acme' }
const b64 = (value: unknown) => Buffer.from(JSON.stringify(value)).toString('base64url')
const body = () => b64({ ...claims, iss: issuer.issuer, aud: 'innkeeper', exp: Math.floor(Date.now() / 1000) + 300 })

async function expectRefused(token: string): Promise<void> {
  const error = await verify(token).then(
    () => null,
    (e) => e,
  )
  expect(isInnkeeperError(error, 'unauthenticated'), String(error)).toBe(true)
}

test('a good token is accepted, so that the refusals below mean something', async () => {
  expect(await verify(await issuer.sign(claims))).toMatchObject({ tenant: 'acme' })
})

test('alg none, in any spelling', async () => {
  for (const alg of ['none', 'None', 'NONE', '']) {
    await expectRefused(`${b64({ alg, typ: 'JWT' })}.${body()}.`)
    await expectRefused(`${b64({ alg, typ: 'JWT' })}.${body()}.AAAA`)
  }
})

test('HS256 with the public key as the secret', async () => {
  const pem = await exportSPKI((await importJWK(issuer.publicJwk(), 'RS256')) as CryptoKey)
  for (const secret of [pem, pem.trim(), JSON.stringify(issuer.publicJwk()), issuer.publicJwk().n!]) {
    const head = `${b64({ alg: 'HS256', kid: issuer.publicJwk().kid })}.${body()}`
    await expectRefused(`${head}.${createHmac('sha256', secret).update(head).digest('base64url')}`)
  }
})

test('a signature of a key of the attacker, under the issuer key id', async () => {
  const { privateKey } = await generateKeyPair('RS256')
  await expectRefused(await issuer.sign(claims, { key: privateKey }))
})

test('a key brought along in the header', async () => {
  const { privateKey, publicKey } = generateKeyPairSync('rsa', { modulusLength: 2048 })
  const jwk = publicKey.export({ format: 'jwk' })
  const key = (await importJWK(privateKey.export({ format: 'jwk' }), 'RS256')) as CryptoKey
  for (const header of [
    { jwk },
    { jku: 'http://127.0.0.1:1/jwks' },
    { x5u: 'http://127.0.0.1:1/x' },
    { kid: undefined, jwk },
  ]) {
    await expectRefused(await issuer.sign(claims, { key, header }))
  }
})

test('key ids that are paths, statements or objects', async () => {
  const [, payload, signature] = (await issuer.sign(claims)).split('.')
  for (const kid of [
    '../../../dev/null',
    "' or 1=1 --",
    '__proto__',
    'constructor',
    '',
    0,
    null,
    {},
    'x'.repeat(4000),
  ]) {
    await expectRefused(`${b64({ alg: 'RS256', kid })}.${payload}.${signature}`)
  }
})

test('an algorithm that is not on the list, with a good signature by the issuer itself', async () => {
  const other = await startIssuer('PS256')
  const strict = createVerifyJwt(configOf(other))
  await expect(strict(await other.sign(claims))).rejects.toMatchObject({ details: 'its algorithm is not allowed' })
  const lenient = createVerifyJwt(configOf(other, { algorithms: ['PS256'] }))
  await lenient(await other.sign(claims))
  await other.close()
})

test('a claim that only a prototype has', async () => {
  for (const tenantClaim of ['constructor.name', 'toString.name', '__proto__.tenant']) {
    const inherited = createVerifyJwt(configOf(issuer, { tenantClaim }))
    await expect(inherited(await issuer.sign(claims))).rejects.toMatchObject({ code: 'unauthenticated' })
  }
})

test('expired, not yet valid, without an end', async () => {
  const now = Math.floor(Date.now() / 1000)
  await expectRefused(await issuer.sign(claims, { expiresIn: now - 31 }))
  await expectRefused(await issuer.sign({ ...claims, nbf: now + 60 }))
  await expectRefused(await issuer.sign(claims, { expiresIn: null }))
  expect(await verify(await issuer.sign(claims, { expiresIn: now - 10 }))).toMatchObject({ tenant: 'acme' })
})

test('another audience, another issuer', async () => {
  await expectRefused(await issuer.sign(claims, { audience: 'somebody-else' }))
  await expectRefused(await issuer.sign(claims, { issuer: `${issuer.issuer}/` }))
  await expectRefused(await issuer.sign(claims, { issuer: 'https://evil.test' }))
})

test('a token made for something else, by its type', async () => {
  for (const typ of ['logout+jwt', 'secevent+jwt', 'dpop+jwt'])
    await expectRefused(await issuer.sign(claims, { header: { typ } }))
  for (const typ of ['JWT', 'at+jwt', 'application/at+jwt'])
    await verify(await issuer.sign(claims, { header: { typ } }))
})

test('critical headers that nobody here understands', async () => {
  const [, payload, signature] = (await issuer.sign(claims)).split('.')
  await expectRefused(
    `${b64({ alg: 'RS256', kid: issuer.publicJwk().kid, crit: ['x'], x: 1 })}.${payload}.${signature}`,
  )
})

test('a changed payload, a cut signature, and what is no token at all', async () => {
  const [header, , signature] = (await issuer.sign(claims)).split('.')
  await expectRefused(`${header}.${body()}.${signature}`)
  await expectRefused(`${header}.${body()}.`)
  for (const text of ['a.b.c', '..', 'e30.e30.e30', `${b64([])}.${b64(null)}.AAAA`]) await expectRefused(text)
})

test('a token stays good no longer than it says, though its signature is remembered', async () => {
  let now = Date.now()
  const clocked = createVerifyJwt(configOf(issuer, { clockToleranceS: 0 }), () => now)
  const token = await issuer.sign(claims, { expiresIn: Math.floor(now / 1000) + 5 })
  await clocked(token)
  now += 6_000
  await expect(clocked(token)).rejects.toMatchObject({ code: 'unauthenticated' })
})

test('a rotated key is found at once, and tokens of the old one are refused', async () => {
  const rotating = await startIssuer()
  const fresh = createVerifyJwt(configOf(rotating))
  const first = await rotating.sign(claims)
  await fresh(first)
  const old = await rotating.sign({ ...claims, n: 2 })
  await rotating.rotate()
  await fresh(await rotating.sign(claims))
  await expect(fresh(old)).rejects.toMatchObject({ code: 'unauthenticated' })
  await rotating.close()
})

test('an issuer without key ids rotates its keys: both are good while it lists both, and the new one is at once', async () => {
  const rotating = await startIssuer()
  await rotating.rotate({ withoutIds: true })
  const fresh = createVerifyJwt(configOf(rotating))
  const sign = (n: number) => rotating.sign({ ...claims, n }, { header: { kid: undefined } })
  const [first, second] = [await sign(1), await sign(2)]
  await fresh(first)
  await rotating.rotate({ withoutIds: true, besides: true })
  await fresh(await sign(3))
  await fresh(second)
  const old = await sign(4)
  await rotating.rotate({ withoutIds: true })
  await fresh(await sign(5))
  await expect(fresh(old)).rejects.toMatchObject({ code: 'unauthenticated' })
  await rotating.close()
})

test('a flood of unknown key ids makes a handful of fetches', async () => {
  const rotating = await startIssuer()
  const fresh = createVerifyJwt(configOf(rotating))
  await fresh(await rotating.sign(claims))
  for (let i = 0; i < 50; i++) {
    const token = await rotating.sign(claims, { header: { kid: `guess-${i}` } })
    await expect(fresh(token)).rejects.toMatchObject({ code: 'unauthenticated' })
  }
  // Nor do signatures that are none.
  const [head, payload] = (await rotating.sign(claims)).split('.')
  for (let i = 0; i < 50; i++) await expect(fresh(`${head}.${payload}.${b64(i)}`)).rejects.toThrow()
  expect(rotating.fetches()).toBeLessThanOrEqual(6)
  await rotating.close()
})

test('an issuer that cannot be reached is a 503 the first time, and costs nothing once its keys are known', async () => {
  const flaky = await startIssuer()
  flaky.setUp(false)
  let now = Date.now()
  const clocked = createVerifyJwt(configOf(flaky), () => now)
  const attempt = async () => clocked(await flaky.sign({ ...claims, jti: String(now) }))
  await expect(attempt()).rejects.toMatchObject({ code: 'directory_unavailable', retryAfterMs: 2_000 })
  // Not asked again at once, so that a storm of requests is not passed on.
  const fetches = flaky.fetches()
  await expect(attempt()).rejects.toMatchObject({ code: 'directory_unavailable' })
  expect(flaky.fetches()).toBe(fetches)
  flaky.setUp(true)
  now += 3_000
  await attempt()
  flaky.setUp(false)
  now += 1_000
  await attempt()
  await flaky.close()
})
