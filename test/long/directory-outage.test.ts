import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest'
import { InnkeeperError } from '../../tiers/errors.ts'
import { expectSoon, type OpenDirectory, startControl, type TestControl } from '../directory/support.ts'
import { BUSY } from '../support/busy.ts'
import { waitUntil } from '../support/wait.ts'

/** Longer than a look-up is given before the control database counts as out of reach. */
const GIVEN_UP_MS = 2_500
/** Once it is known to be out of reach nobody waits for it. */
const AT_ONCE_MS = 100

let control: TestControl
let directory: OpenDirectory
beforeAll(async () => {
  control = await startControl()
})
afterAll(() => control?.close())
beforeEach(async () => {
  directory = control.open({ settings: { ttlMs: 300 } })
  await waitUntil('the directory', () => directory.status().connected)
})
afterEach(async () => {
  control.server.kill('SIGCONT')
  await control.server.restart()
  await directory.close()
})

async function timed<T>(work: () => Promise<T>): Promise<[T | InnkeeperError, number]> {
  const startedAt = performance.now()
  const answer = await work().catch((error: InnkeeperError) => error)
  return [answer, performance.now() - startedAt]
}

const FAULTS: Record<string, NodeJS.Signals> = { killed: 'SIGKILL', frozen: 'SIGSTOP' }

test.each(Object.keys(FAULTS))(
  'with the control database %s known tenants go on, and unknown ones are 503 soon',
  async (fault) => {
    const id = await control.tenant(`known-${fault}`)
    expect(await directory.bySlug(`known-${fault}`)).toMatchObject({ id })
    control.server.kill(FAULTS[fault]!)
    await new Promise((r) => setTimeout(r, 400))

    const [known, firstMs] = await timed(() => directory.bySlug(`known-${fault}`))
    expect(known).toMatchObject({ id, status: 'active' })
    expect(firstMs).toBeLessThan(GIVEN_UP_MS * BUSY)
    await waitUntil('the outage to be noticed', () => !directory.status().connected)
    for (let n = 0; n < 5; n++) {
      const [again, ms] = await timed(() => directory.byId(id))
      expect(again).toMatchObject({ id })
      expect(ms).toBeLessThan(AT_ONCE_MS * BUSY)
    }
    const asked = await Promise.all(Array.from({ length: 50 }, (_, n) => timed(() => directory.bySlug(`nobody-${n}`))))
    for (const [answer, ms] of asked) {
      expect(answer).toBeInstanceOf(InnkeeperError)
      expect(answer).toMatchObject({ code: 'directory_unavailable', retryAfterMs: expect.any(Number) })
      expect(ms).toBeLessThan(GIVEN_UP_MS * BUSY)
    }
    expect(directory.status().staleForMs).toBeGreaterThan(0)
  },
)

test('after an outage of ten seconds it catches up within two', { timeout: 60_000 }, async () => {
  const id = await control.tenant('caught-up')
  await directory.byId(id)
  control.server.kill('SIGKILL')
  const until = Date.now() + 10_000
  while (Date.now() < until) {
    expect(await directory.byId(id)).toMatchObject({ status: 'active' })
    directory.bySlug(`nobody-${Date.now()}`).catch(() => {})
    await new Promise((r) => setTimeout(r, 50))
  }
  await control.server.restart()
  await control.store.setStatus(id, 'suspended')
  await expectSoon([directory], (d) => d.byId(id), { status: 'suspended' }, 2_000)
  await waitUntil('notifications', async () => {
    const [row] = await control.sql<{ n: number }[]>`
      select count(*)::int as n from pg_stat_activity where query ilike 'listen%'`
    return row!.n > 0
  })
})

test('what was frozen and thaws is believed again, with what changed meanwhile', async () => {
  const id = await control.tenant('thawed')
  await directory.byId(id)
  control.server.kill('SIGSTOP')
  await waitUntil('the outage to be noticed', () => !directory.status().connected)
  expect(await directory.byId(id)).toMatchObject({ status: 'active' })
  control.server.kill('SIGCONT')
  await control.store.setStatus(id, 'suspended')
  await expectSoon([directory], (d) => d.byId(id), { status: 'suspended' }, 2_000)
  expect(directory.status()).toMatchObject({ connected: true, staleForMs: 0 })
})

test('an answer older than the bound is not served, also while there is no other', async () => {
  const short = control.open({ settings: { ttlMs: 100, staleMs: 1_000 } })
  await waitUntil('the directory', () => short.status().connected)
  const id = await control.tenant('too-old')
  await short.byId(id)
  control.server.kill('SIGKILL')
  await waitUntil('the outage to be noticed', () => !short.status().connected)
  await new Promise((r) => setTimeout(r, 1_100))
  await expect(short.byId(id)).rejects.toMatchObject({ code: 'directory_unavailable' })
})

test('a gateway that starts during an outage says so, and serves when it is over', async () => {
  const id = await control.tenant('early-bird')
  control.server.kill('SIGKILL')
  const early = control.open()
  await expect(early.bySlug('early-bird')).rejects.toMatchObject({ code: 'directory_unavailable' })
  expect(early.status()).toMatchObject({ connected: false, version: 0 })
  await control.server.restart()
  await expectSoon([early], (d) => d.bySlug('early-bird').catch(() => null), { id }, 3_000)
  await waitUntil('the directory', () => early.status().connected)
  await control.store.setStatus(id, 'suspended')
  await expectSoon([early], (d) => d.bySlug('early-bird'), { status: 'suspended' })
})
