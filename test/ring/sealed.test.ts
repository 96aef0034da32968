import { randomBytes } from 'node:crypto'
import { Readable } from 'node:stream'
import { buffer } from 'node:stream/consumers'
import { describe, expect, test } from 'vitest'
import { keyRing } from '../../tiers/ring/key-ring.ts'
import { headOf, type Purpose, sealing, unseal, unsealing } from '../../tiers/ring/sealed.ts'

const [SECRET, OLDER] = [randomBytes(32), randomBytes(32)]
const ring = keyRing('eu', [SECRET])
const CHUNK = 64 * 1024

const sealed = (text: Buffer, by = ring, purpose: Purpose = 'export'): Promise<Buffer> =>
  buffer(Readable.from(slices(text)).pipe(sealing(by, purpose)))
/** As a stream and at once: both have to say the same. */
async function opened(data: Buffer, by = ring, purpose: Purpose = 'export'): Promise<Buffer> {
  const failure = (error: unknown) => error as Error
  const [streamed, whole] = await Promise.all([
    new Promise<Buffer | Error>((resolve) => {
      const stream = unsealing(by, purpose)
      stream.on('error', resolve)
      buffer(Readable.from(slices(data)).pipe(stream)).then(resolve, resolve)
    }),
    new Promise<Buffer | Error>((resolve) => {
      try {
        resolve(unseal(by, purpose, data))
      } catch (error) {
        resolve(failure(error))
      }
    }),
  ])
  if (streamed instanceof Error || whole instanceof Error) {
    expect(String(streamed)).toBe(String(whole))
    throw streamed
  }
  expect(streamed.equals(whole)).toBe(true)
  return streamed
}

/** In pieces that fit no chunk. */
function* slices(data: Buffer, bytes = 50_001): Generator<Buffer> {
  for (let at = 0; at < data.length; at += bytes) yield data.subarray(at, at + bytes)
}

const damaged = expect.objectContaining({ code: 'invalid_request', message: expect.stringMatching(/changed|no head/) })

test.each([0, 1, CHUNK - 1, CHUNK, CHUNK + 1, 3 * CHUNK, 1_000_000])(
  '%i bytes come back as they were',
  async (bytes) => {
    const text = randomBytes(bytes)
    expect((await opened(await sealed(text))).equals(text)).toBe(true)
  },
)

test('what is sealed shows the key by name, and nothing of the text; twice it looks different', async () => {
  const text = Buffer.from('canary-'.repeat(1_000))
  const [once, twice] = [await sealed(text), await sealed(text)]
  expect(headOf(once)).toMatchObject({ purpose: 'export', keyId: ring.currentId })
  expect(once.includes('canary')).toBe(false)
  expect(once.subarray(-100).equals(twice.subarray(-100))).toBe(false)
})

describe('it is refused', () => {
  test('changed at any place, head and all', async () => {
    const data = await sealed(randomBytes(3 * CHUNK + 5))
    const head = headOf(data)!.line.length
    for (const at of [5, 20, 25, 40, head - 2, head, head + CHUNK, head + CHUNK + 16, data.length - 1]) {
      const changed = Buffer.from(data)
      changed[at] = changed[at]! ^ 1
      await expect(opened(changed), `byte ${at}`).rejects.toMatchObject({
        code: expect.stringMatching(/^(invalid_request|invalid_config)$/),
      })
    }
  })

  test('cut off, also between two chunks; with a chunk left out, twice there, or in another place; with more after it', async () => {
    const data = await sealed(randomBytes(3 * CHUNK))
    const head = headOf(data)!.line.length
    const chunk = (n: number) => data.subarray(head + n * (CHUNK + 16), head + (n + 1) * (CHUNK + 16))
    const [start, a, b, c] = [data.subarray(0, head), chunk(0), chunk(1), chunk(2)]
    for (const pieces of [
      [start],
      [start, a],
      [start, a, b],
      [start, a, c],
      [start, b, a, c],
      [start, a, b, b, c],
      [start, a, b, c, c],
      [start, a, b, c, Buffer.from('x')],
      [start, a, b, c.subarray(0, 10)],
      [start.subarray(0, 30)],
      [],
    ]) {
      await expect(opened(Buffer.concat(pieces))).rejects.toEqual(damaged)
    }
  })

  test('with chunks of another text under the same key', async () => {
    const [one, other] = [await sealed(randomBytes(CHUNK)), await sealed(randomBytes(CHUNK))]
    const { length } = headOf(one)!.line
    await expect(opened(Buffer.concat([one.subarray(0, length), other.subarray(length)]))).rejects.toEqual(damaged)
  })

  test('where it was sealed for something else, and in another region with the same secret', async () => {
    const data = await sealed(randomBytes(10))
    await expect(opened(data, ring, 'directory')).rejects.toMatchObject({ message: expect.stringMatching(/as export/) })
    const asDirectory = Buffer.from(data.toString('latin1').replace(' export ', ' directory '), 'latin1')
    await expect(opened(asDirectory, ring, 'directory')).rejects.toEqual(damaged)
    await expect(opened(data, keyRing('us', [SECRET]))).rejects.toMatchObject({ code: 'invalid_config' })
  })
})

test('older keys of the ring open and do not seal; without the key it says which one is missing, and what to do', async () => {
  const data = await sealed(Buffer.from('x'), keyRing('eu', [OLDER]))
  const both = keyRing('eu', [SECRET, OLDER])
  expect((await opened(data, both)).toString()).toBe('x')
  expect(headOf(await sealed(Buffer.from('x'), both))!.keyId).toBe(ring.currentId)
  const { keyId } = headOf(data)!
  await expect(opened(data)).rejects.toMatchObject({
    code: 'invalid_config',
    message: `Key ${keyId} is not in the key ring of region eu`,
    hint: expect.stringContaining('regions.eu.keyRing'),
  })
})
