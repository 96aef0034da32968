import { afterAll, beforeAll, expect, test } from 'vitest'
import { type Lab, startLab } from '../isolation/support/lab.ts'
import { interleave } from './interleaving.ts'
import { bouncerBefore, makeTenants, openThrough } from './many-tenants.ts'

const OPERATIONS = 2_500

let lab: Lab
let slugs: string[]
beforeAll(async () => {
  lab = await startLab({ isolations: [] })
  slugs = await makeTenants(lab, { free: 40, pro: 15, enterprise: 5 })
})
afterAll(() => lab?.close())

test('60 tenants of all tiers, their work interleaved on few connections, never see each other', async () => {
  const tenants = await openThrough(lab, null, 10)
  const report = await interleave({ tenants, slugs, operations: OPERATIONS, concurrency: 24, seed: 1 })
  await tenants.close()
  expect(report).toMatchObject({ operations: OPERATIONS, tenantsUsed: 60 })
  expect(report.rowsRead).toBeGreaterThan(OPERATIONS)
})

test('nor do they through PgBouncer in transaction mode', async ({ skip }) => {
  const front = await bouncerBefore(lab)
  if (front === null) return skip()
  const tenants = await openThrough(lab, front, 12)
  const work = interleave({ tenants, slugs, operations: OPERATIONS, concurrency: 24, seed: 2 })
  // Statements that are given up meanwhile: a cancel must end its statement, and not the proxy.
  for (let n = 0; n < 10; n++) {
    const signal = AbortSignal.timeout(30)
    const given = tenants.session(slugs[n]!).execute({ text: 'select pg_sleep(5)', params: [] }, { signal })
    await expect(given).rejects.toBeDefined()
  }
  const report = await work
  await tenants.close()
  await front.close()
  expect(report).toMatchObject({ operations: OPERATIONS, tenantsUsed: 60 })
})

test('what a tenant leaves in a session that a proxy keeps costs nobody a request', async ({ skip }) => {
  const front = await bouncerBefore(lab)
  if (front === null) return skip()
  const tenants = await openThrough(lab, front, 12)
  const [attacker, victim] = ['free-0', 'free-1'].map((slug) => tenants.session(slug))
  const text = 'select pg_sleep(0.1), set_config($1, $2, false)'
  for (const params of [
    ['default_transaction_isolation', 'serializable'],
    ['default_transaction_read_only', 'on'],
  ]) {
    // In as many sessions as the proxy has.
    await Promise.all(Array.from({ length: 4 }, () => attacker!.execute({ text, params })))
    const asked = Array.from({ length: 20 }, () =>
      victim!.execute({ text: 'update "{room}".tags set name = name', params: [] }),
    )
    for (const answer of await Promise.all(asked)) expect(answer).toMatchObject({ command: 'UPDATE' })
  }
  await tenants.close()
  await front.close()
})
