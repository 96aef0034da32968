import { afterAll, beforeAll, expect, test } from 'vitest'
import { TENANCY } from '../../tiers/tenancy/roles.ts'
import { startTestSystem, type TestSystem } from '../support/system.ts'

const NEWEST = '0008_capture_by_key.sql'

let system: TestSystem
beforeAll(async () => {
  system = await startTestSystem()
})
afterAll(() => system?.close())

test.each(['acme', 'hooli', 'initech'])(
  'a start brings the database of %s to this version of ours, whoever made it, and says so no more',
  async (slug) => {
    const { placement } = await system.control.tenant(slug)
    // Asked for each time: connections to a database of one tenant's are not kept.
    const sql = () => system.control.makerOf(placement!.cluster).admin(placement!.database)
    const known = async () => (await sql()`select from tenancy.versions where name = ${NEWEST}`).length
    // As a version before left it: rooms work with the function that was there before.
    await sql().begin(async (tx) => {
      await tx.unsafe(`set local role ${TENANCY}; drop function tenancy.capture_function(text[])`)
      await tx`delete from tenancy.versions where name = ${NEWEST}`
    })
    expect(await known()).toBe(0)
    await system.control.install()
    await system.control.migrate()
    expect(await known()).toBe(1)
    expect(await sql()`select tenancy.capture_function(array['id'])`).toHaveLength(1)
  },
)
