import { afterAll, beforeAll, expect, test } from 'vitest'
import * as schema from '../../config/schema.ts'
import { startTestSystem, type TestSystem } from '../support/system.ts'

let system: TestSystem
beforeAll(async () => {
  system = await startTestSystem()
})
afterAll(() => system?.close())

test('the one interface, opened with a gateway’s credentials alone, serves a tenant of every isolation model', async () => {
  const tenants = await system.openTenants('us')
  for (const slug of ['acme', 'hooli', 'initech']) {
    const [row] = await tenants.for(slug).insert(schema.tags).values({ name: slug }).returning()
    expect(row).toMatchObject({ name: slug })
    expect(await tenants.for(slug).select({ name: schema.tags.name }).from(schema.tags)).toEqual([{ name: slug }])
  }
  expect((await tenants.find('hooli')).placement).toMatchObject({ isolation: 'schema', epoch: expect.any(Number) })
  await tenants.close()
})
