import { spawnSync } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { beforeAll, expect, test } from 'vitest'
import { publicKeyOf } from '../../config/x25519.ts'
import { temporaryFolder } from '../support/temporary.ts'

const BIN = fileURLToPath(new URL('../../gateway/cli/innkeeper.js', import.meta.url))
const secret = () => randomBytes(32).toString('base64')
const OLD = secret()

/** With the region's key alone in the environment, as on a machine that is nobody's gateway. */
function innkeeper(args: string[], env: Record<string, string>, input: Buffer | string = '') {
  const { PATH } = process.env
  const done = spawnSync(process.execPath, [BIN, ...args], { input, env: { PATH, ...env }, maxBuffer: 1 << 26 })
  return { code: done.status, out: done.stdout, err: done.stderr.toString() }
}

let folder: string
beforeAll(async () => {
  folder = await temporaryFolder('ring')
  await mkdir(join(folder, 'exports'))
})

test('an export is sealed and given back with the region’s key alone; with another key it is refused, and said why', async () => {
  const text = randomBytes(500_000)
  const sealed = innkeeper(['ring', 'seal', '--region', 'eu'], { INNKEEPER_EU_KEY: OLD }, text)
  expect(sealed).toMatchObject({ code: 0, err: '' })
  await writeFile(join(folder, 'exports', 'acme'), sealed.out)
  const unseal = ['ring', 'unseal', '--region', 'eu']
  expect(innkeeper(unseal, { INNKEEPER_EU_KEY: OLD }, sealed.out).out.equals(text)).toBe(true)
  const other = innkeeper(unseal, { INNKEEPER_EU_KEY: secret() }, sealed.out)
  expect(other).toMatchObject({ code: 1, err: expect.stringMatching(/is not in the key ring of region eu/) })
  expect(other.out).toHaveLength(0)
  expect(innkeeper(unseal, {}, sealed.out)).toMatchObject({
    err: expect.stringMatching(/INNKEEPER_EU_KEY: is not set/),
  })
  expect(innkeeper(unseal, { INNKEEPER_EU_KEY: OLD }, sealed.out.subarray(0, -9))).toMatchObject({ code: 2 })
})

test('a ring of its own is rotated: status says what is left, rotate does it, again it is done', async () => {
  const product = join(folder, 'product')
  await mkdir(product)
  const config = (ring: string) => `
    import input from ${JSON.stringify(new URL('../../config/innkeeper.config.ts', import.meta.url))}
    const keyRing = ${ring}
    export default { ...input, regions: { ...input.regions, eu: { ...input.regions.eu, keyRing } } }`
  await writeFile(join(product, 'innkeeper.config.ts'), config(`[{ env: 'RING_2' }, { env: 'INNKEEPER_EU_KEY' }]`))
  const env = { INNKEEPER_EU_KEY: OLD, RING_2: secret() }
  const ring = (name: string, of: Record<string, string> = env) =>
    innkeeper(['ring', name, '--json', '--region', 'eu', '--config', product, join(folder, 'exports')], of)
  const states = () => JSON.parse(ring('status').out.toString()).map((f: { key: string }) => f.key)

  expect(states()).toEqual(['old'])
  expect(ring('rotate', { RING_2: env.RING_2 }).err).toContain('INNKEEPER_EU_KEY: is not set')
  expect(JSON.parse(ring('rotate').out.toString())).toMatchObject({ rotated: 1, current: 0, failed: 0 })
  expect(JSON.parse(ring('rotate').out.toString())).toMatchObject({ rotated: 0, current: 1, failed: 0 })
  expect(states()).toEqual(['current'])
  const sealed = await readFile(join(folder, 'exports', 'acme'))
  const unseal = ['ring', 'unseal', '--region', 'eu', '--config', product]
  expect(innkeeper(unseal, env, sealed).out).toHaveLength(500_000)
})

test('peering-key makes a pair, a new one each time', () => {
  const made = () => JSON.parse(innkeeper(['peering-key', '--json'], {}).out.toString())
  const [one, two] = [made(), made()]
  expect(publicKeyOf(Buffer.from(one.key, 'base64')).toString('base64')).toBe(one.publicKey)
  expect(one.key).not.toBe(two.key)
})
