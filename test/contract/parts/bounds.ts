import { setTimeout as sleep } from 'node:timers/promises'
import { eq, sql } from 'drizzle-orm'
import { expect, test } from 'vitest'
import { ISOLATIONS } from '../../../tiers/types.ts'
import { BUSY } from '../../support/busy.ts'
import { waitUntil } from '../../support/wait.ts'
import { tags } from '../schema.ts'
import { type ContractDb, type ContractRoom, STATEMENT_MS, TRANSACTION_MS } from '../world.ts'

/** Nothing lasts longer than the tier allows, or than the caller wants. */
export function bounds(on: ContractRoom): void {
  const { isolation, slug } = on

  test('a statement ends at the tier’s timeout, and a shorter one may be asked for', async () => {
    const started = performance.now()
    await expect(on.strict.for(slug).execute(sql`select pg_sleep(10)`)).rejects.toMatchObject({
      code: 'statement_timeout',
    })
    expect(performance.now() - started).toBeLessThan((STATEMENT_MS + 2_000) * BUSY)
    const text = 'select pg_sleep(10)'
    const short = on.strict.session(slug).execute({ text, params: [] }, { statementTimeoutMs: 50 })
    await expect(short).rejects.toMatchObject({ code: 'statement_timeout' })
    // Not even none at all is more than the tier allows.
    for (const statementTimeoutMs of [60_000, 0, 0.5]) {
      const asked = on.strict.session(slug).execute({ text, params: [] }, { statementTimeoutMs })
      await expect(asked).rejects.toMatchObject({ code: 'statement_timeout' })
    }
    await expect(
      on.strict.transaction(slug, async (tx) => {
        await tx.execute(sql`select 1`)
        await tx.execute(sql`select pg_sleep(10)`)
      }),
    ).rejects.toMatchObject({ code: 'statement_timeout' })
    expect(await on.strict.for(slug).execute(sql`select 1 as one`)).toMatchObject({ rows: [{ one: 1 }] })
  })

  test('a transaction that is open too long ends, whatever its callback is doing', async () => {
    const endings = [
      async (tx: Parameters<Parameters<ContractDb['transaction']>[1]>[0]) => {
        for (;;) await tx.execute(sql`select pg_sleep(0.1)`)
      },
      async () => {
        await sleep(30_000)
      },
      () => new Promise<never>(() => {}),
    ]
    for (const hang of endings) {
      const started = performance.now()
      await expect(
        on.strict.transaction(slug, async (tx) => {
          await tx.insert(tags).values({ name: 'too long' })
          await hang(tx)
        }),
      ).rejects.toMatchObject({ code: 'statement_timeout' })
      expect(performance.now() - started).toBeLessThan((TRANSACTION_MS + 3_000) * BUSY)
    }
    // Both connections of the pool are free again.
    expect(await Promise.all([1, 2, 3].map(() => on.strict.for(slug).$count(tags, eq(tags.name, 'too long'))))).toEqual(
      [0, 0, 0],
    )
  })

  test('a signal cancels the running statement at the server and frees the connection', async () => {
    const marker = `pg_sleep(9 + ${ISOLATIONS.indexOf(isolation)})`
    const running = async () => {
      const [row] = await on.lab.root(
        'postgres',
      )`select count(*)::int as n from pg_stat_activity where state = 'active' and query like ${`%${marker}%`} and pid <> pg_backend_pid()`
      return row!.n as number
    }
    const aborting = new AbortController()
    const asked = on.strict
      .session(slug)
      .execute({ text: `select ${marker}`, params: [] }, { signal: aborting.signal, statementTimeoutMs: 60_000 })
    asked.catch(() => {})
    await waitUntil('the statement to run', async () => (await running()) === 1)
    aborting.abort()
    await expect(asked).rejects.toMatchObject({ code: 'client_closed_request' })
    await waitUntil('the statement to be gone', async () => (await running()) === 0)
    const inTransaction = new AbortController()
    const work = on.strict.transaction(
      slug,
      async (tx) => {
        await tx.insert(tags).values({ name: 'given up' })
        setTimeout(() => inTransaction.abort(), 30)
        await tx.execute(sql.raw('select pg_sleep(20)'))
      },
      { signal: inTransaction.signal },
    )
    await expect(work).rejects.toMatchObject({ code: 'client_closed_request' })
    expect(await Promise.all([1, 2, 3].map(() => on.strict.for(slug).$count(tags, eq(tags.name, 'given up'))))).toEqual(
      [0, 0, 0],
    )
  })

  test('any number of large answers pass one after the other, in one transaction too', async () => {
    const large = { text: `select repeat('x', 70000000) as x`, params: [] }
    const session = on.tenants.session(slug)
    const lengthOf = async (asked: ReturnType<typeof session.execute>) => String((await asked).rows[0]!.x).length
    for (let n = 0; n < 2; n++) expect(await lengthOf(session.execute(large))).toBe(70_000_000)
    await session.transaction(async (tx) => {
      for (let n = 0; n < 2; n++) expect(await lengthOf(tx.execute(large))).toBe(70_000_000)
    })
  })

  test('a signal that was aborted before sends nothing', async () => {
    const signal = AbortSignal.abort()
    await expect(
      on.strict
        .session(slug)
        .execute({ text: `insert into "{room}".tags (name) values ('aborted before')`, params: [] }, { signal }),
    ).rejects.toBeDefined()
    await expect(
      on.strict.transaction(slug, (tx) => tx.insert(tags).values({ name: 'aborted before' }), { signal }),
    ).rejects.toBeDefined()
    await sleep(50)
    expect(await on.strict.for(slug).$count(tags, eq(tags.name, 'aborted before'))).toBe(0)
  })
}
