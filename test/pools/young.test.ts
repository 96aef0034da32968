import { expect, test } from 'vitest'
import type { Connection } from '../../tiers/pg/connection.ts'
import { type DatabaseLine, DatabaseLines } from '../../tiers/pg/database-lines.ts'
import { TenantShares } from '../../tiers/pg/tenant-shares.ts'

/** When a database that has just had its first connection gets more of them. */

const DATABASE = 'one'
/** Far from now, so that it does not matter when this runs. */
const FAR_MS = 3_600_000

/** A database with connections in use, the first of them new, one of them just given back; and so many tenants who wait. */
function young(waiting: number, state: Partial<DatabaseLine> = {}) {
  const shares = new TenantShares(40)
  const lines = new DatabaseLines(shares, 40)
  const now = performance.now()
  const line = Object.assign(lines.of(DATABASE), { leased: 4, firstAt: now + FAR_MS, movedAt: now + FAR_MS, ...state })
  for (let i = 0; i < waiting; i++) {
    const tenant = `tenant-${i}`
    shares.wait(shares.useOf(tenant, 4))
    line.queue.push(tenant, { since: now, grant: () => {}, refuse: () => {} })
  }
  return lines.wanting().includes(line)
}

test('a crowd at a new database is served by the few connections that are there', () => {
  expect(young(30)).toBe(false)
  expect(young(30, { leased: 2, making: 2 })).toBe(false)
})

test('few are made at once, and more when it is no longer new', () => {
  expect(young(1, { leased: 0, firstAt: Number.POSITIVE_INFINITY })).toBe(true)
  expect(young(30, { leased: 3 })).toBe(true)
  expect(young(30, { firstAt: performance.now() - FAR_MS })).toBe(true)
})

test('more are made where those in use do not come back', () => {
  expect(young(1, { movedAt: performance.now() - FAR_MS })).toBe(true)
})

test('who makes it ready gets as many as it asks for, and those that are idle first', () => {
  expect(young(6, { eager: 6, making: 5 })).toBe(true)
  expect(young(6, { eager: 6, making: 6 })).toBe(false)
  expect(young(6, { eager: 6, idle: [{}, {}, {}, {}, {}, {}] as Connection[] })).toBe(false)
})
