import { afterAll, beforeAll, expect, test } from 'vitest'
import { startTestSystem, type TestSystem } from '../support/system.ts'

let system: TestSystem
beforeAll(async () => {
  const tenants = ['a', 'b'].map((slug) => ({ slug, tier: 'pro', region: 'us' }) as const)
  system = await startTestSystem({ tenants })
})
afterAll(() => system?.close())

test("a tenant with a schema of its own writes no row of its own into another's", async () => {
  const tenants = await system.openTenants()
  const room = (await system.control.tenant('b')).placement!.schema
  const write = (text: string) => tenants.session('a').execute({ text, params: [] })
  await expect(write(`insert into "${room}"."tags" (name) values ('planted')`)).rejects.toMatchObject({ code: '42501' })
  await expect(
    write(`insert into "${room}"."tags" (name) values ('p') on conflict (tenant_id, name) do update set name = 'q'`),
  ).rejects.toMatchObject({ code: '42501' })
  await expect(write(`insert into "{room}"."tags" (name) values ('own')`)).resolves.toMatchObject({ rowCount: 1 })
  await expect(write(`update "{room}"."tags" set name = 'mine'`)).resolves.toMatchObject({ rowCount: 1 })
})
