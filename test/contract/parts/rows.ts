import { and, asc, count, desc, eq, gt, inArray, like, sql } from 'drizzle-orm'
import { expect, test } from 'vitest'
import { agents, countries, customerNames, customers, tags } from '../schema.ts'
import type { ContractRoom } from '../world.ts'

/** What is written comes back, as the tenant’s own and nobody else’s. */
export function rows(on: ContractRoom): void {
  const { isolation, db } = on

  test('what is inserted comes back, with its defaults and the number that the database gave', async () => {
    const rows = await db()
      .insert(customers)
      .values([
        { name: 'Ada', email: 'ada@contract.test', custom: { vip: true, tags: ['x', 'y'] } },
        { name: 'Bob', email: 'bob@contract.test' },
      ])
      .returning()
    expect(rows).toEqual([
      expect.objectContaining({
        name: 'Ada',
        company: null,
        custom: { vip: true, tags: ['x', 'y'] },
        createdAt: expect.any(Date),
      }),
      expect.objectContaining({ name: 'Bob', custom: {} }),
    ])
    expect(rows[1]!.id).toBeGreaterThan(rows[0]!.id)
    expect(Math.abs(rows[0]!.createdAt.getTime() - Date.now())).toBeLessThan(60_000)
    const [own] = await db().insert(tags).values({ id: 900_000, name: 'own number' }).returning()
    expect(own).toEqual({ id: 900_000, name: 'own number', color: null })
  })

  test('tenant_id is in no answer of the interface', async () => {
    const [inserted] = await db().insert(tags).values({ name: 'hidden' }).returning()
    expect(Object.keys(inserted!)).toEqual(['id', 'name', 'color'])
    const [selected] = await db().select().from(tags).limit(1)
    const related = await db().query.tickets.findFirst({ with: { customer: true, comments: true } })
    const [updated] = await db().update(tags).set({ color: 'red' }).where(eq(tags.name, 'hidden')).returning()
    const [deleted] = await db().delete(tags).where(eq(tags.name, 'hidden')).returning()
    expect(JSON.stringify([inserted, selected, related, updated, deleted])).not.toMatch(/tenant_?id/i)
  })

  test('it is the tenant’s whatever the application says', async () => {
    const other = on.lab.pairs[isolation].b
    await expect(
      db().execute(sql`insert into ${tags} (tenant_id, name) values (${other.id}, 'planted')`),
    ).rejects.toMatchObject({ code: expect.stringMatching(/42501/) })
    expect(await on.tenants.for(other.slug).$count(tags)).toBe(0)
  })

  test('conditions, order, pages and groups give what they say', async () => {
    await db()
      .insert(agents)
      .values([1, 2, 3, 4].map((n) => ({ name: `Agent ${n}`, email: `agent-${n}@contract.test`, active: n % 2 === 0 })))
    const named = and(gt(agents.name, 'Agent 1'), like(agents.name, 'Agent %'), eq(agents.active, true))
    expect(
      await db().select({ name: agents.name }).from(agents).where(named).orderBy(desc(agents.name)).limit(1),
    ).toEqual([{ name: 'Agent 4' }])
    const grouped = await db()
      .select({ active: agents.active, n: count() })
      .from(agents)
      .where(inArray(agents.name, ['Agent 1', 'Agent 2', 'Agent 4']))
      .groupBy(agents.active)
      .orderBy(asc(agents.active))
    expect(grouped).toEqual([
      { active: false, n: 1 },
      { active: true, n: 2 },
    ])
    expect(await db().select().from(countries).orderBy(countries.code)).toEqual([
      { code: 'ch', name: 'Switzerland' },
      { code: 'fr', name: 'France' },
    ])
    expect((await db().select().from(customerNames)).length).toBe(await db().$count(customers))
  })
}
