import { describe, expect, test } from 'vitest'
import type { Connection } from '../../tiers/pg/connection.ts'
import { type DatabaseLine, DatabaseLines, type Want } from '../../tiers/pg/database-lines.ts'
import { Pace } from '../../tiers/pg/pace.ts'
import { TenantShares } from '../../tiers/pg/tenant-shares.ts'

/** Statements that take 1 ms, and connections that take 40 to make. */
function quick(): Pace {
  const pace = new Pace()
  for (let i = 0; i < 100; i++) pace.made(40.1)
  for (let i = 0; i < 100; i++) pace.returned(1)
  return pace
}

describe('whether another connection pays', () => {
  test('nobody is told to be patient before a single connection came back', () => {
    expect(new Pace().patience(4, 0)).toBe(0)
  })

  test('a crowd of short statements is served by the connections that are in use', () => {
    expect(quick().patience(1, 0)).toBe(20)
    expect(quick().patience(4, 0)).toBe(80)
    expect(quick().patience(0, 0)).toBe(0)
  })

  test('who waits behind statements that take as long as a new connection gets one', () => {
    const pace = quick()
    for (let i = 0; i < 100; i++) pace.returned(40)
    expect(pace.patience(1, 0)).toBe(0)
  })

  test('a connection that is kept for longer than a new one takes promises nothing', () => {
    expect(quick().patience(1, 39)).toBe(20)
    expect(quick().patience(1, 41)).toBe(0)
  })

  test('the first statements of new connections, which take long, hardly count', () => {
    const pace = quick()
    for (let i = 0; i < 4; i++) pace.returned(100)
    expect(pace.patience(1, 0)).toBeGreaterThan(10)
  })

  test('much waiting is worth a connection in the end, however short each wait was', () => {
    expect(quick().isWorthOne(399)).toBe(false)
    expect(quick().isWorthOne(402)).toBe(true)
  })
})

describe('a line that', () => {
  const DATABASE = 'one'
  /** One connection in use, and tenants who wait. */
  function lineWith(waiting: number, state: Partial<DatabaseLine> = {}) {
    const shares = new TenantShares(40)
    const lines = new DatabaseLines(shares, quick(), 40)
    const line = Object.assign(lines.of(DATABASE), { leased: 1, movedAt: performance.now() + 60_000, ...state })
    for (let i = 0; i < waiting; i++) {
      const tenant = `tenant-${i}`
      shares.wait(shares.useOf(tenant, 4))
      const want: Want = { since: performance.now() + 60_000, grant: () => {}, refuse: () => {} }
      line.queue.push(tenant, want)
    }
    return { lines, line }
  }
  const wants = ({ lines, line }: ReturnType<typeof lineWith>) => lines.wanting().includes(line)

  test('is served soon wants none', () => {
    expect(wants(lineWith(12))).toBe(false)
  })

  test('is longer than that wants one', () => {
    expect(wants(lineWith(24))).toBe(true)
    expect(wants(lineWith(24, { making: 1 }))).toBe(false)
  })

  test('has no connection, or stands still, wants one at once', () => {
    expect(wants(lineWith(1, { leased: 0 }))).toBe(true)
    expect(wants(lineWith(1, { movedAt: performance.now() - 1_000 }))).toBe(true)
  })

  test('has waited for much wants one', () => {
    expect(wants(lineWith(1, { waitedMs: 70_000 }))).toBe(true)
  })

  test('is to be made ready wants as many as it is asked for, those that come back or not', () => {
    expect(wants(lineWith(4, { eager: 4, making: 3 }))).toBe(true)
    expect(wants(lineWith(4, { eager: 4, making: 4 }))).toBe(false)
    const idle = [{}, {}, {}, {}] as Connection[]
    expect(wants(lineWith(4, { eager: 4, idle } as Partial<DatabaseLine>))).toBe(false)
  })
})
