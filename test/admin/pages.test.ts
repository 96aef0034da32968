import { afterAll, beforeAll, expect, test } from 'vitest'
import { startTestAdmin, type TestAdmin } from '../support/admin.ts'
import { runCli } from '../support/cli.ts'
import { startTestSystem, type TestSystem } from '../support/system.ts'

let system: TestSystem
let admin: TestAdmin
let env: Record<string, string>
beforeAll(async () => {
  system = await startTestSystem({
    tenants: [
      { slug: 'acme', tier: 'free', region: 'us' },
      { slug: 'hooli', tier: 'free', region: 'us' },
      { slug: 'initech', tier: 'free', region: 'us' },
    ],
    configure: (input) => ({ ...input, tiers: { ...input.tiers, starter: { isolation: 'shared' } } }),
  })
  admin = await startTestAdmin(system)
  env = { INNKEEPER_ADMIN_URL: await admin.listen(), INNKEEPER_ADMIN_TOKEN: admin.token }
  for (let i = 0; i < 5; i++) {
    await admin.call('POST', '/admin/v1/tenants/acme/keys', { name: `key ${i}` })
    // A change of limits is a move that is over at once.
    await admin.call('POST', '/admin/v1/tenants/acme/moves', { tier: i % 2 === 0 ? 'starter' : 'free' })
  }
  // One name four times: three of them are revoked.
  for (const name of ['ben', 'ann', 'ann', 'ann', 'ann', 'cleo']) {
    await admin.call('DELETE', `/admin/v1/operators/${name}`)
    await admin.call('POST', '/admin/v1/operators', { name, role: 'viewer' })
  }
})
afterAll(async () => {
  await admin?.close()
  await system?.close()
})

const LISTS = [
  ['tenants', '/admin/v1/tenants', 3],
  ['keys', '/admin/v1/tenants/acme/keys', 6],
  ['moves', '/admin/v1/moves?tenant=acme', 5],
  ['operators', '/admin/v1/operators', 6],
] as const

test.each(LISTS)(
  'the list of %s goes page by page: each entry once, in the order of the whole',
  async (name, path, count) => {
    const whole = (await admin.call('GET', path)).body
    expect([whole[name].length, whole.next]).toEqual([count, null])
    const found: unknown[] = []
    let next: string | undefined = `${path}${path.includes('?') ? '&' : '?'}limit=1`
    while (next !== undefined && found.length <= count) {
      const page = await admin.call('GET', next)
      expect(page.body[name]).toHaveLength(1)
      found.push(...page.body[name])
      next = /<([^>]+)>; rel="next"/.exec(page.headers.get('link') ?? '')?.[1]
      expect(page.body.next !== null).toBe(next !== undefined)
    }
    expect(found).toEqual(whole[name])
  },
)

test('keys and moves come with the newest first, operators by name', async () => {
  const names = async (path: string, list: string) => (await admin.call('GET', path)).body[list]
  const keys = await names('/admin/v1/tenants/acme/keys', 'keys')
  expect(keys.map((k: { name: string }) => k.name)).toEqual(['key 4', 'key 3', 'key 2', 'key 1', 'key 0', 'test'])
  const moves = await names('/admin/v1/moves', 'moves')
  expect(moves.map((m: { to: { tier: string } }) => m.to.tier)).toEqual([
    'starter',
    'free',
    'starter',
    'free',
    'starter',
  ])
  const operators = await names('/admin/v1/operators', 'operators')
  expect(operators.map((o: { name: string }) => o.name)).toEqual(['ann', 'ann', 'ann', 'ann', 'ben', 'cleo'])
})

test('a cursor that can be none is refused by name', async () => {
  for (const path of ['/admin/v1/moves', '/admin/v1/operators', '/admin/v1/tenants/acme/keys']) {
    expect((await admin.call('GET', `${path}?after=x`)).body).toMatchObject({ status: 400, field: 'after' })
  }
})

test.each(['tenants list', 'keys list acme', 'moves list', 'operators list'])(
  '%s --limit shows so many, and says that there are more',
  async (command) => {
    const run = async (...args: string[]) => runCli([...command.split(' '), ...args], { env })
    const [all, some] = [await run('--json'), await run('--limit', '2', '--json')]
    expect(JSON.parse(some.out)).toEqual(JSON.parse(all.out).slice(0, 2))
    expect((await run('--limit', '2')).err).toContain('There are more')
    expect((await run('--limit', '9')).err).toBe('')
  },
)
