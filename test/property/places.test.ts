import fc from 'fast-check'
import { expect, test } from 'vitest'
import { type Demand, goesTo, KEEP_MS, type Place, SLICE_MS } from '../../tiers/pg/places.ts'

const demand = fc.record({
  held: fc.nat(20),
  tenants: fc.nat(50),
  waitsMs: fc.nat(5_000),
})
const place = fc.record({ openMs: fc.nat(5_000), idleMs: fc.nat(5_000) })
const holds = (d: Demand): Demand => ({ ...d, held: Math.max(1, d.held) })

test('a place that went from one database that used it to another does not go back for the same reasons', () => {
  fc.assert(
    fc.property(demand, demand.map(holds), place, fc.integer({ min: 1, max: 40 }), (taker, owner, at, max) => {
      const all = taker.tenants + owner.tenants
      fc.pre(at.idleMs < KEEP_MS && goesTo(taker, owner, at, all, max))
      const [after, before] = [
        { ...taker, held: taker.held + 1 },
        { ...owner, held: owner.held - 1 },
      ]
      // It is another connection there, however long who was left without any has waited.
      const inUse: Place = { openMs: 0, idleMs: 0 }
      expect(goesTo(before, after, inUse, all, max)).toBe(false)
    }),
  )
})

test('a place is not taken from a database that needs it before its time, while the taker has one', () => {
  fc.assert(
    fc.property(demand.map(holds), demand.map(holds), fc.nat(40), (taker, owner, max) => {
      const all = taker.tenants + owner.tenants
      expect(goesTo(taker, owner, { openMs: KEEP_MS - 1, idleMs: KEEP_MS - 1 }, all, max)).toBe(false)
    }),
  )
})

test('who has no place and waits gets one that has served for a slice, after a slice at the latest, whoever has it', () => {
  fc.assert(
    fc.property(demand, demand.map(holds), place, fc.nat(40), (taker, owner, at, max) => {
      const waiting = { held: 0, tenants: Math.max(1, taker.tenants), waitsMs: SLICE_MS + taker.waitsMs }
      const served = { ...at, openMs: SLICE_MS + at.openMs }
      expect(goesTo(waiting, owner, served, waiting.tenants + owner.tenants, max)).toBe(true)
    }),
  )
})

test('what nobody waits for goes to whoever waits, and what nobody wants to nobody', () => {
  fc.assert(
    fc.property(demand, demand.map(holds), place, fc.nat(40), (taker, owner, at, max) => {
      const unused = { openMs: KEEP_MS + at.openMs, idleMs: KEEP_MS + at.idleMs }
      const waiting = { ...taker, tenants: Math.max(1, taker.tenants) }
      expect(goesTo(waiting, { ...owner, tenants: 0 }, unused, waiting.tenants, max)).toBe(true)
      expect(goesTo({ ...taker, tenants: 0 }, owner, unused, owner.tenants, max)).toBe(false)
    }),
  )
})
