import { setTimeout as sleep } from 'node:timers/promises'
import { count, eq, inArray, sql } from 'drizzle-orm'
import { expect, test } from 'vitest'
import { agents, customers, slots, tags, tickets } from '../schema.ts'
import type { ContractRoom } from '../world.ts'

/** All or nothing, at the isolation that was asked for. */
export function transactions(on: ContractRoom): void {
  const { isolation, slug, db } = on

  test('a transaction commits whole, and rolls back whole when its callback throws', async () => {
    const written = await on.tenants.transaction(slug, async (tx) => {
      const [customer] = await tx.insert(customers).values({ name: 'Tx', email: 'tx@contract.test' }).returning()
      await tx.insert(tickets).values({ customerId: customer!.id, subject: 'in a transaction' })
      expect(await db().select().from(customers).where(eq(customers.id, customer!.id))).toEqual([])
      return customer!.id
    })
    expect(await db().$count(tickets, eq(tickets.customerId, written))).toBe(1)
    const failure = new Error('thrown by the application')
    await expect(
      on.tenants.transaction(slug, async (tx) => {
        await tx.delete(customers).where(eq(customers.id, written))
        throw failure
      }),
    ).rejects.toBe(failure)
    expect(await db().$count(customers, eq(customers.id, written))).toBe(1)
    expect(await on.tenants.transaction(slug, async () => 'nothing sent')).toBe('nothing sent')
  })

  test('a transaction in a transaction is a savepoint, as deep as one likes', async () => {
    await on.tenants.transaction(slug, async (tx) => {
      await tx.insert(tags).values({ name: 'outer' })
      await tx
        .transaction(async (inner) => {
          await inner.insert(tags).values({ name: 'inner' })
          await inner.transaction(async (third) => {
            await third.insert(tags).values({ name: 'third' })
          })
          throw new Error('undo both')
        })
        .catch(() => {})
      await tx.transaction(async (inner) => {
        await inner.insert(tags).values({ name: 'kept' })
        await expect(inner.transaction((third) => third.insert(tags).values({ name: 'kept' }))).rejects.toMatchObject({
          code: '23505',
        })
        await inner.insert(tags).values({ name: 'kept too' })
      })
    })
    const found = await db()
      .select({ name: tags.name })
      .from(tags)
      .where(inArray(tags.name, ['outer', 'inner', 'third', 'kept', 'kept too']))
    expect(found.map((t) => t.name).sort()).toEqual(['kept', 'kept too', 'outer'])
    await on.tenants.transaction(slug, (tx) =>
      tx.transaction((first) => first.insert(tags).values({ name: 'savepoint first' })),
    )
    expect(await db().$count(tags, eq(tags.name, 'savepoint first'))).toBe(1)
  })

  test('what is begun beside a savepoint comes after it: none is undone or ended with another', async () => {
    const add = (tx: Parameters<Parameters<typeof on.tenants.transaction>[1]>[0], name: string) =>
      tx.insert(tags).values({ name })
    const outcomes = await on.tenants.transaction(slug, async (tx) => {
      const failing = tx.transaction(async (one) => {
        await add(one, 'beside, undone')
        await one.execute(sql`select 1`)
        throw new Error('undo')
      })
      const lasting = tx.transaction(async (two) => {
        await add(two, 'beside, kept')
        // The outer one, used in the inner: it waits for nobody.
        await tx.transaction((three) => add(three, 'beside, inside'))
        for (let n = 0; n < 3; n++) await two.execute(sql`select ${n}::int`)
      })
      const brief = tx.transaction((four) => add(four, 'beside, brief'))
      return Promise.allSettled([failing, lasting, brief, add(tx, 'beside, alone')])
    })
    expect(outcomes.map((o) => o.status)).toEqual(['rejected', 'fulfilled', 'fulfilled', 'fulfilled'])
    const found = await db().select({ name: tags.name }).from(tags).where(sql`name like 'beside, %'`)
    expect(found.map((t) => t.name).sort()).toEqual([
      'beside, alone',
      'beside, brief',
      'beside, inside',
      'beside, kept',
    ])
  })

  test('what is begun beside a savepoint comes after it also where the outer transaction is used in it', async () => {
    await on.tenants.transaction(slug, async (tx) => {
      const isBegun = Promise.withResolvers<void>()
      const failing = tx.transaction(async (one) => {
        await tx.transaction((inner) => inner.insert(tags).values({ name: 'outer in inner' }))
        isBegun.resolve()
        await one.execute(sql`select 1`)
        throw new Error('undo')
      })
      await isBegun.promise
      await Promise.allSettled([failing, tx.insert(tags).values({ name: 'begun later' })])
      await tx.transaction((one) =>
        Promise.allSettled([
          tx.transaction((inner) => inner.execute(sql`select 1 / 0`)),
          tx.insert(tags).values({ name: 'by the outer' }),
          one.insert(tags).values({ name: 'by the inner' }),
        ]),
      )
    })
    const names = ['outer in inner', 'begun later', 'by the outer', 'by the inner']
    const found = await db().select({ name: tags.name }).from(tags).where(inArray(tags.name, names))
    expect(found.map((t) => t.name).sort()).toEqual(['begun later', 'by the inner', 'by the outer'])
  })

  test('a savepoint whose transaction has ended meanwhile says so', async () => {
    const begun = Promise.withResolvers<void>()
    const goOn = Promise.withResolvers<void>()
    let inner: Promise<unknown> = Promise.resolve()
    await on.tenants.transaction(slug, async (tx) => {
      inner = tx.transaction(async (one) => {
        await one.execute(sql`select 1`)
        begun.resolve()
        await goOn.promise
      })
      inner.catch(() => {})
      await begun.promise
    })
    goOn.resolve()
    await expect(inner).rejects.toMatchObject({ code: 'no_tenant' })
  })

  test('an error that is caught and not rolled back makes the commit an error, and nothing is kept', async () => {
    await expect(
      on.tenants.transaction(slug, async (tx) => {
        await tx.insert(tags).values({ name: 'lost with the failed' })
        await tx.execute(sql`select 1 / 0`).catch(() => {})
      }),
    ).rejects.toMatchObject({ code: 'conflict' })
    expect(await db().$count(tags, eq(tags.name, 'lost with the failed'))).toBe(0)
    await expect(
      on.tenants.transaction(slug, async (tx) => {
        await tx.execute(sql`select 1 / 0`).catch(() => {})
        return tx.select().from(tags)
      }),
    ).rejects.toMatchObject({ code: '25P02' })
  })

  test('statements of one transaction that are sent together run one after the other', async () => {
    const seen = await on.tenants.transaction(slug, (tx) =>
      Promise.all(Array.from({ length: 10 }, (_, n) => tx.execute<{ n: number }>(sql`select ${n}::int as n`))),
    )
    expect(seen.map((r) => r.rows[0]!.n)).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 8, 9])
  })

  test('a transaction that has ended takes no more statements', async () => {
    let late: Promise<unknown> | null = null
    await on.tenants.transaction(slug, async (tx) => {
      await tx.select().from(tags).limit(1)
      late = sleep(30).then(() => tx.select().from(tags))
      late.catch(() => {})
    })
    await expect(late).rejects.toMatchObject({ code: 'no_tenant' })
  })

  test('read-only refuses to write, alone and in a transaction', async () => {
    for (const isolationLevel of ['read committed', 'repeatable read', 'serializable'] as const) {
      const options = { readOnly: true, isolationLevel }
      await expect(
        on.tenants.transaction(
          slug,
          async (tx) => {
            await tx.select().from(tags).limit(1)
            await tx.insert(tags).values({ name: 'written' })
          },
          options,
        ),
      ).rejects.toMatchObject({ code: '25006' })
      const session = on.tenants.session(slug)
      await expect(session.execute({ text: 'delete from "{room}".tags', params: [] }, options)).rejects.toMatchObject({
        code: '25006',
      })
    }
    await db().transaction((tx) => tx.select().from(tags), { accessMode: 'read only' })
    expect(await db().$count(tags)).toBeGreaterThan(0)
  })

  test('isolation levels hold: repeatable read sees one state, serializable gives 40001 on a conflict', async () => {
    await on.tenants.transaction(
      slug,
      async (tx) => {
        const before = await tx.$count(agents)
        await db()
          .insert(agents)
          .values({ name: 'Late', email: `late-${isolation}@contract.test` })
        expect(await tx.$count(agents)).toBe(before)
      },
      { isolationLevel: 'repeatable read' },
    )
    const haveRead = Promise.withResolvers<void>()
    let readers = 0
    const both = await Promise.allSettled(
      [1, 2].map((n) =>
        on.tenants.transaction(
          slug,
          async (tx) => {
            const [row] = await tx.select({ n: count() }).from(slots)
            if (++readers === 2) haveRead.resolve()
            await haveRead.promise
            await tx.insert(slots).values({ id: 7_000 + n, place: 7_000 + Number(row!.n) * 10 + n })
          },
          { isolationLevel: 'serializable' },
        ),
      ),
    )
    const failed = both.filter((r) => r.status === 'rejected')
    expect(failed).toHaveLength(1)
    expect(failed[0]!.reason).toMatchObject({ code: '40001' })
  })

  test('a constraint that is checked at COMMIT is an error of the statement or of the transaction, never a success', async () => {
    await db()
      .insert(slots)
      .values([
        { id: 1, place: 1 },
        { id: 2, place: 2 },
      ])
    await on.tenants.transaction(slug, async (tx) => {
      await tx.update(slots).set({ place: 2 }).where(eq(slots.id, 1))
      await tx.update(slots).set({ place: 1 }).where(eq(slots.id, 2))
    })
    expect(
      await db()
        .select()
        .from(slots)
        .where(inArray(slots.id, [1, 2]))
        .orderBy(slots.id),
    ).toEqual([
      { id: 1, place: 2 },
      { id: 2, place: 1 },
    ])
    await expect(db().update(slots).set({ place: 2 }).where(eq(slots.id, 2)).returning()).rejects.toMatchObject({
      code: '23505',
    })
    await expect(
      on.tenants.transaction(slug, async (tx) => {
        await tx.update(slots).set({ place: 2 }).where(eq(slots.id, 2))
      }),
    ).rejects.toMatchObject({ code: '23505' })
    expect(await db().$count(slots, eq(slots.place, 2))).toBe(1)
  })
}
