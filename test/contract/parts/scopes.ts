import { setTimeout as sleep } from 'node:timers/promises'
import { expect, test } from 'vitest'
import { customers, tags } from '../schema.ts'
import type { ContractRoom } from '../world.ts'

/** Code that runs for one tenant reaches no other. */
export function scopes(on: ContractRoom): void {
  const { isolation, slug, db } = on

  test('outside a scope there is no database, inside it is the tenant’s, wherever the code runs on', async () => {
    expect(() => on.tenants.db()).toThrow(expect.objectContaining({ code: 'no_tenant' }))
    expect(() => on.tenants.current()).toThrow(expect.objectContaining({ code: 'no_tenant' }))
    const found = await on.tenants.scope(slug, async (own) => {
      expect(on.tenants.current()).toMatchObject({ slug, tenantId: on.lab.pairs[isolation].a.id })
      expect(await own.$count(customers)).toBe(await on.tenants.db().$count(customers))
      await sleep(5)
      const later = await new Promise<string>((resolve) => setTimeout(() => resolve(on.tenants.current().slug), 1))
      const next = await new Promise<string>((resolve) =>
        process.nextTick(() => setImmediate(() => resolve(on.tenants.current().slug))),
      )
      return [later, next]
    })
    expect(found).toEqual([slug, slug])
    expect(() => on.tenants.db()).toThrow(expect.objectContaining({ code: 'no_tenant' }))
  })

  test('inside a scope another tenant is out of reach, the same one is not', async () => {
    const { a, b } = on.lab.pairs[isolation]
    await on.tenants.scope(slug, async () => {
      expect(await on.tenants.for(a.slug).$count(customers)).toBeGreaterThan(0)
      expect(await on.tenants.scope(a.id, (own) => own.$count(customers))).toBeGreaterThan(0)
      for (const other of [b.slug, b.id, b]) {
        await expect((async () => on.tenants.for(other).select().from(tags))()).rejects.toMatchObject({
          code: 'tenant_switch',
        })
        await expect(on.tenants.scope(other, async () => 1)).rejects.toMatchObject({ code: 'tenant_switch' })
        await expect((async () => on.tenants.transaction(other, async () => 1))()).rejects.toMatchObject({
          code: 'tenant_switch',
        })
      }
    })
  })

  test('interleaved scopes of two tenants keep to themselves', async () => {
    const { a, b } = on.lab.pairs[isolation]
    await on.tenants
      .for(b.slug)
      .insert(tags)
      .values({ name: `of ${b.slug}` })
      .onConflictDoNothing()
    await db()
      .insert(tags)
      .values({ name: `of ${a.slug}` })
      .onConflictDoNothing()
    await Promise.all(
      Array.from({ length: 30 }, (_, n) => {
        const [own, other] = n % 2 === 0 ? [a, b] : [b, a]
        return on.tenants.scope(own.slug, async () => {
          await sleep(n % 5)
          expect(on.tenants.current().slug).toBe(own.slug)
          const names = (await on.tenants.db().select().from(tags)).map((t) => t.name)
          expect(names).toContain(`of ${own.slug}`)
          expect(names).not.toContain(`of ${other.slug}`)
        })
      }),
    )
  })

  test('an unknown tenant is an error at the first statement', async () => {
    await expect(on.tenants.for('nobody-here').select().from(tags)).rejects.toMatchObject({ code: 'tenant_not_found' })
    await expect(on.tenants.transaction('nobody-here', async (tx) => tx.select().from(tags))).rejects.toMatchObject({
      code: 'tenant_not_found',
    })
  })

  test('a database of a tenant that could not be found yet is of use as soon as it can be', async () => {
    const late = on.tenants.session(`late-${isolation}`)
    const ask = () => late.execute({ text: 'select 1 as one', params: [] })
    await expect(ask()).rejects.toMatchObject({ code: 'tenant_not_found' })
    const { tier } = on.lab.pairs[isolation].a
    const tenant = await on.lab.control.createTenant({ slug: `late-${isolation}`, tier, region: 'us' })
    try {
      await expect.poll(() => ask().catch((error) => error)).toMatchObject({ rows: [{ one: 1 }] })
    } finally {
      await on.lab.control.offboard(tenant.id)
    }
  })
}
