import { afterAll, beforeAll, expect, test } from 'vitest'
import { contractSuite } from '../contract/suite.ts'
import { type Lab, startLab } from '../isolation/support/lab.ts'
import { interleave } from '../property/interleaving.ts'
import { bouncerBefore, type Front, makeTenants, openThrough } from '../property/many-tenants.ts'

contractSuite('through PgBouncer, PostgreSQL 18:', { version: 18, through: bouncerBefore, preparedStatements: false })
contractSuite('through PgBouncer, PostgreSQL 15:', { version: 15, through: bouncerBefore, preparedStatements: false })

const OPERATIONS = 100_000

let lab: Lab
let front: Front | null
beforeAll(async () => {
  lab = await startLab({ isolations: [], settings: { max_connections: 300 } })
  front = await bouncerBefore(lab)
})
afterAll(async () => {
  await front?.close()
  await lab?.close()
})

test('100,000 interleaved operations of 1,000 tenants of all tiers through PgBouncer leak nothing', async ({
  skip,
}) => {
  if (front === null) return skip()
  const slugs = await makeTenants(lab, { free: 880, pro: 100, enterprise: 20 })
  const tenants = await openThrough(lab, front, 24)
  const report = await interleave({ tenants, slugs, operations: OPERATIONS, concurrency: 48, seed: 3 })
  await tenants.close()
  expect(report).toMatchObject({ operations: OPERATIONS, tenantsUsed: 1_000 })
  console.log(`${report.rowsRead} rows were read, each its reader's own`)
})
