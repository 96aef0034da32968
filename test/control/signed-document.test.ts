import { randomBytes } from 'node:crypto'
import { expect, test } from 'vitest'
import { canonicalJson, sign, signingKey, verify } from '../../tiers/control/signed-document.ts'

const key = signingKey(randomBytes(32))
const document = { b: [1, { z: null, a: 'é"\n' }], a: 1.5, at: new Date(0), none: undefined }

test('a signed document is verified from its text alone, whatever the order of its keys', () => {
  const signed = JSON.parse(JSON.stringify(sign(document, key)))
  expect(verify(signed)).toBe(true)
  const turned = { ...signed, document: Object.fromEntries(Object.entries(signed.document).reverse()) }
  expect(Object.keys(turned.document)).not.toEqual(Object.keys(signed.document))
  expect(verify(turned)).toBe(true)
})

test('a changed document, a changed signature and another key are each found out', () => {
  const signed = JSON.parse(JSON.stringify(sign(document, key)))
  expect(verify({ ...signed, document: { ...signed.document, a: 1.6 } })).toBe(false)
  expect(verify({ ...signed, document: { ...signed.document, more: 1 } })).toBe(false)
  expect(verify({ ...signed, signature: sign({ ...document, a: 2 }, key).signature })).toBe(false)
  expect(verify({ ...signed, keyId: signingKey(randomBytes(32)).keyId })).toBe(false)
  for (const keyId of ['', 'x', null]) expect(verify({ ...signed, keyId } as never)).toBe(false)
})

test('one secret is one key, and its name is its public half', () => {
  const secret = randomBytes(32)
  expect(signingKey(secret).keyId).toBe(signingKey(secret).keyId)
  expect(Buffer.from(signingKey(secret).keyId, 'base64url')).toHaveLength(32)
})

test('the canonical text is that of RFC 8785', () => {
  // The example of its section 3.2.2, without what JSON cannot be told from.
  expect(
    canonicalJson({
      numbers: [1e30, 4.5, 2e-3, 0.000000000000000000000000001],
      '\u20ac': '$',
      '\r': 1,
    }),
  ).toBe('{"\\r":1,"numbers":[1e+30,4.5,0.002,1e-27],"€":"$"}')
})
