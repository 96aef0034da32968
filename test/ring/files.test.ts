import { spawn } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { createWriteStream } from 'node:fs'
import { chmod, chown, mkdir, readdir, readFile, stat, symlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { fileURLToPath } from 'node:url'
import { beforeEach, expect, test } from 'vitest'
import { type Rotated, rotateFiles, sealedFiles } from '../../tiers/ring/files.ts'
import { type KeyRing, keyRing } from '../../tiers/ring/key-ring.ts'
import { headOf, sealing, unseal } from '../../tiers/ring/sealed.ts'
import { temporaryFolder } from '../support/temporary.ts'

const [OLDEST, OLD, NEW] = [randomBytes(32), randomBytes(32), randomBytes(32)]
const before = keyRing('eu', [OLD, OLDEST])
const during = keyRing('eu', [NEW, OLD, OLDEST])
const after = keyRing('eu', [NEW])

let folder: string
beforeEach(async () => {
  folder = await temporaryFolder('ring')
})

async function seal(name: string, text: string | Buffer, ring: KeyRing = before): Promise<string> {
  const path = join(folder, name)
  await pipeline(Readable.from([Buffer.from(text)]), sealing(ring, 'export'), createWriteStream(path, { mode: 0o600 }))
  return path
}
const open = async (path: string, ring: KeyRing) => unseal(ring, 'export', await readFile(path)).toString()
async function all<T>(generator: AsyncGenerator<T>): Promise<T[]> {
  const found: T[] = []
  for await (const one of generator) found.push(one)
  return found
}
const outcomes = (files: readonly Rotated[]) => files.map((f) => f.outcome)

test('a rotation seals everything with the key in use, so that the older ones may go; again it does nothing', async () => {
  await mkdir(join(folder, 'below'))
  const paths = [
    await seal('a', 'one'),
    await seal('b', 'two', keyRing('eu', [OLDEST])),
    await seal('below/c', randomBytes(300_000)),
    await seal('d', 'four', after),
  ]
  const texts = await Promise.all(paths.map((p) => open(p, during)))
  expect(outcomes(await all(rotateFiles([folder], during)))).toEqual(['rotated', 'rotated', 'rotated', 'current'])
  expect(await Promise.all(paths.map((p) => open(p, after)))).toEqual(texts)
  const then = await Promise.all(paths.map((p) => readFile(p)))
  expect(outcomes(await all(rotateFiles([folder], during)))).toEqual(['current', 'current', 'current', 'current'])
  expect(await Promise.all(paths.map((p) => readFile(p)))).toEqual(then)
})

test('it is the text that is sealed anew, not the key alone: who had the old one has nothing of the new file', async () => {
  const path = await seal('a', 'x'.repeat(200))
  const old = await readFile(path)
  await all(rotateFiles([path], during))
  const fresh = await readFile(path)
  expect(fresh.includes(old.subarray(headOf(old)!.line.length))).toBe(false)
  expect(headOf(fresh)!.keyId).toBe(after.currentId)
})

test('a file whose key is missing, or that is damaged, is told of by name and left as it is; the others go on', async () => {
  const [lost, good] = [await seal('a', 'x', keyRing('eu', [randomBytes(32)])), await seal('c', 'y')]
  const torn = await seal('b', 'z')
  await writeFile(torn, (await readFile(torn)).subarray(0, -1))
  const were = await Promise.all([lost, torn].map((p) => readFile(p)))
  const rotated = await all(rotateFiles([folder], during))
  expect(rotated).toMatchObject([
    {
      path: lost,
      outcome: 'failed',
      error: { code: 'invalid_config', message: expect.stringMatching(/^Key [0-9a-f]{16} is not/) },
    },
    { path: torn, outcome: 'failed', error: { code: 'invalid_request' } },
    { path: good, outcome: 'rotated' },
  ])
  expect(await Promise.all([lost, torn].map((p) => readFile(p)))).toEqual(were)
  expect(await readdir(folder)).toEqual(['a', 'b', 'c'])
  expect((await all(sealedFiles([folder], during))).map((f) => f.key)).toEqual(['missing', 'old', 'current'])
})

test('other files, links and what is none of ours stay as they are; a file keeps its mode', async () => {
  const path = await seal('a', 'x')
  await chmod(path, 0o640)
  await writeFile(join(folder, 'notes.txt'), 'innkeeper-sealed? no')
  const elsewhere = await temporaryFolder('elsewhere')
  const outside = join(elsewhere, 'outside')
  await writeFile(outside, await readFile(path))
  await symlink(outside, join(folder, 'link'))
  expect(outcomes(await all(rotateFiles([folder], during)))).toEqual(['rotated'])
  expect((await stat(path)).mode & 0o777).toBe(0o640)
  expect(await open(outside, before)).toBe('x')
})

test('who may read a file may read it afterwards, whoever rotates it', async () => {
  const path = await seal('shared', 'text')
  await chmod(path, 0o660)
  if (process.getuid?.() === 0) await chown(path, 12_345, 23_456)
  const { mode, uid, gid } = await stat(path)
  expect(outcomes(await all(rotateFiles([path], during)))).toEqual(['rotated'])
  expect(await stat(path)).toMatchObject({ mode, uid, gid })
})

test('killed at any time, every file is whole with the old key or the new, and run again it goes on to the end', async () => {
  const paths = await Promise.all(
    Array.from({ length: 24 }, (_, n) => seal(`file-${String(n).padStart(2, '0')}`, randomBytes(200_000 + n))),
  )
  const texts = await Promise.all(paths.map((p) => open(p, during)))
  let kills = 0
  for (let ended = false; !ended; ) {
    const secrets = [NEW, OLD, OLDEST].map((s) => s.toString('base64'))
    const args = [folder, '5', String(kills % 3), ...secrets]
    const child = spawn(process.execPath, [fileURLToPath(new URL('./child.ts', import.meta.url)), ...args])
    const [code] = await once(child, 'exit')
    ended = code === 0
    if (!ended) kills++
    for (const [i, path] of paths.entries()) expect(await open(path, during)).toBe(texts[i])
  }
  expect(kills).toBeGreaterThan(2)
  expect(await Promise.all(paths.map((p) => open(p, after)))).toEqual(texts)
  expect((await readdir(folder)).filter((f) => !f.startsWith('file-') || f.endsWith('.rotating'))).toEqual([])
})
