import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { ISOLATIONS } from '../../tiers/types.ts'
import { isInstalled } from './installed.ts'
import { bounds } from './parts/bounds.ts'
import { connections } from './parts/connections.ts'
import { rows } from './parts/rows.ts'
import { scopes } from './parts/scopes.ts'
import { transactions } from './parts/transactions.ts'
import { tags } from './schema.ts'
import { transcriptOf } from './transcript.ts'
import { type ContractOptions, type ContractWorld, roomOf, startContractWorld } from './world.ts'

/** Runs everything that the one interface promises, over the three adapters, and that they all answer the same. */
export function contractSuite(title: string, options: ContractOptions): void {
  describe.skipIf(!isInstalled(options.version))(title, () => {
    let world: ContractWorld
    beforeAll(async () => {
      world = await startContractWorld(options)
    })
    afterAll(() => world?.close())

    describe.each(ISOLATIONS)('%s:', (isolation) => {
      const room = roomOf(isolation, () => world)
      for (const part of [rows, transactions, bounds, connections, scopes]) part(room)
    })

    test('withEachTenant visits every tenant once, each in a scope of its own, and reports who failed', async () => {
      const seen: string[] = []
      const { tenants } = world
      const report = await tenants.withEachTenant(async (db, tenant) => {
        expect(tenants.current().tenantId).toBe(tenant.id)
        await db.insert(tags).values({ name: `visited ${tenant.slug}` })
        await sleep(2)
        const names = (await tenants.db().select().from(tags)).map((t) => t.name).filter((n) => n.startsWith('visited'))
        expect(names).toEqual([`visited ${tenant.slug}`])
        seen.push(tenant.slug)
        if (tenant.slug === 'a-schema') throw new Error('one that fails')
      })
      expect(seen.sort()).toEqual(['a-database', 'a-schema', 'a-shared', 'b-database', 'b-schema', 'b-shared'])
      expect(report.visited).toBe(6)
      expect(report.failures.map((f) => [f.tenant.slug, f.error.message])).toEqual([['a-schema', 'one that fails']])
    })

    test('the same work has the same answers on all three', async () => {
      const transcripts = await Promise.all(
        ISOLATIONS.map((isolation) => transcriptOf(world.tenants, `b-${isolation}`)),
      )
      expect(transcripts[0]!.length).toBeGreaterThan(25)
      expect(transcripts[1]).toEqual(transcripts[0])
      expect(transcripts[2]).toEqual(transcripts[0])
      expect(transcripts[0]).toMatchSnapshot()
    })
  })
}
