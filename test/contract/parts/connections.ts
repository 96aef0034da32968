import { setTimeout as sleep } from 'node:timers/promises'
import { eq, sql } from 'drizzle-orm'
import { expect, test } from 'vitest'
import { migrateRoom } from '../../../tiers/migrate/migrate-room.ts'
import { waitUntil } from '../../support/wait.ts'
import { counters, customers, tags, tickets } from '../schema.ts'
import type { ContractRoom } from '../world.ts'

/** What happens to a connection is noticed by nobody whom it does not concern. */
export function connections(on: ContractRoom): void {
  const { isolation, slug, db, databaseOf } = on

  test('a connection that dies under a statement is an unknown outcome, and the pool is well again', async () => {
    const kill = (marker: string) =>
      on.lab.root(
        'postgres',
      )`select pg_terminate_backend(pid) from pg_stat_activity where query like ${`%${marker}%`} and pid <> pg_backend_pid() and usename = 'innkeeper_app'`
    const marker = `killed_${isolation}`
    // Drizzle's statements begin when they are awaited, each time anew.
    const dying = on.tenants.session(slug).execute({ text: `select pg_sleep(5) as ${marker}`, params: [] })
    dying.catch(() => {})
    await waitUntil('the statement to be killed', async () => (await kill(marker)).length > 0)
    await expect(dying).rejects.toMatchObject({ code: 'outcome_unknown' })
    // A read changed nothing, so it is asked once more, on another connection.
    const read = on.tenants
      .session(slug)
      .execute({ text: `select pg_sleep(1) as ${marker}_r`, params: [] }, { readOnly: true })
    await waitUntil('the read to be killed', async () => (await kill(`${marker}_r`)).length > 0)
    await expect(read).resolves.toMatchObject({ rowCount: 1 })
    const inTransaction = on.tenants.transaction(slug, async (tx) => {
      await tx.insert(tags).values({ name: marker })
      await tx.execute(sql.raw(`select pg_sleep(5) as ${marker}_2`))
    })
    inTransaction.catch(() => {})
    await waitUntil('the transaction to be killed', async () => (await kill(`${marker}_2`)).length > 0)
    await expect(inTransaction).rejects.toMatchObject({ code: 'outcome_unknown' })
    // Idle ones die too, and nobody notices.
    await on.lab.root(
      'postgres',
    )`select pg_terminate_backend(pid) from pg_stat_activity where usename = 'innkeeper_app'`
    await sleep(50)
    expect(await Promise.all(Array.from({ length: 20 }, () => db().$count(tags, eq(tags.name, marker))))).toEqual(
      Array(20).fill(0),
    )
  })

  test('a connection that dies between a transaction’s last statement and its commit has changed nothing, and says so', async () => {
    const name = `not_committed_${isolation}`
    const dying = on.tenants.transaction(slug, async (tx) => {
      await tx.insert(tags).values({ name })
      const { rows } = await tx.execute<{ pid: number }>(sql`select pg_backend_pid() as pid`)
      await on.lab.root('postgres')`select pg_terminate_backend(${rows[0]!.pid}, 5000)`
      // As long as the word of it needs to come here.
      await sleep(100)
    })
    await expect(dying).rejects.toMatchObject({ code: 'cluster_unavailable' })
    expect(await db().$count(tags, eq(tags.name, name))).toBe(0)
  })

  test('a server that is set to take no writes is unavailable, and nobody’s fault; set back it is of use again', async () => {
    const server = on.lab.root('postgres')
    const set = async (command: string) => {
      await server.unsafe(`alter role innkeeper_app ${command}`)
      await server`select pg_terminate_backend(pid, 5000) from pg_stat_activity where usename = 'innkeeper_app'`
    }
    const write = async () =>
      on.tenants.session(slug).execute({ text: 'update "{room}".tags set name = name', params: [] })
    await set('set default_transaction_read_only = on')
    try {
      await expect(write()).rejects.toMatchObject({ code: 'cluster_unavailable' })
    } finally {
      await set('reset default_transaction_read_only')
    }
    await expect(write()).resolves.toMatchObject({ command: 'UPDATE' })
  })

  test('a transaction whose server falls silent ends all the same', async () => {
    const { promise: stopped, resolve } = Promise.withResolvers<number>()
    const work = on.strict.transaction(slug, async (tx) => {
      const { rows } = await tx.execute<{ pid: number }>(sql`select pg_backend_pid() as pid`)
      process.kill(rows[0]!.pid, 'SIGSTOP')
      resolve(rows[0]!.pid)
      throw new Error('given up')
    })
    const pid = await stopped
    try {
      await expect(work).rejects.toThrow('given up')
      expect(await on.strict.for(slug).execute(sql`select 1 as one`)).toMatchObject({ rows: [{ one: 1 }] })
    } finally {
      process.kill(pid, 'SIGCONT')
    }
  })

  test('a value that cannot be sent is the caller’s error, and costs no connection', async () => {
    const circular: Record<string, unknown> = {}
    circular.self = circular
    await expect(db().insert(customers).values({ name: 'x', email: 'circular', custom: circular })).rejects.toThrow(
      /circular/i,
    )
    await expect(on.tenants.session(slug).execute({ text: 'select $1', params: [circular] })).rejects.toThrow(
      /circular/i,
    )
    await expect(
      on.tenants.transaction(slug, async (tx) => {
        await tx.insert(tags).values({ name: 'before the circle' })
        await tx.execute(sql`select ${circular}`)
      }),
    ).rejects.toThrow(/circular/i)
    expect(await db().$count(tags, eq(tags.name, 'before the circle'))).toBe(0)
    await expect(db().execute(sql.raw('select \0'))).rejects.toBeDefined()
    expect(await db().execute(sql`select 1 as one`)).toMatchObject({ rows: [{ one: 1 }] })
  })

  test('prepared statements of a connection stay under the cap, and all go on working', async () => {
    for (let round = 0; round < 2; round++) {
      for (let n = 0; n < 30; n++) {
        const { rows } = await on.strict
          .for(slug)
          .execute<{ n: number }>(sql.raw(`select ${n} as n, count(*) from "{room}".tags`))
        expect(rows[0]!.n).toBe(n)
      }
    }
    const { rows } = await databaseOf(isolation).begin(async (tx) => ({
      rows: await tx`select count(*)::int as backends from pg_stat_activity where usename = 'innkeeper_app' and datname = current_database()`,
    }))
    expect(rows[0]!.backends).toBeLessThanOrEqual(14)
  })

  test('a migration under running prepared statements is noticed by nobody', async () => {
    const all = () => db().execute(sql`select * from ${countersOf}`)
    const countersOf = sql.raw('"{room}".counters')
    await db().insert(counters).values({ id: 1 })
    await Promise.all(Array.from({ length: 8 }, all))
    const { placement } = on.lab.pairs[isolation].a
    const file = {
      name: `2000_${isolation}.sql`,
      text: 'alter table "{room}".counters add column note text not null default $$new$$',
      checksum: isolation,
    }
    let stop = false
    const readers = Array.from({ length: 4 }, async () => {
      while (!stop) expect((await all()).rows).toHaveLength(1)
    })
    await migrateRoom(databaseOf(isolation), placement!.schema, {
      files: [file],
      references: ['countries'],
      app: 'innkeeper_app',
    })
    await sleep(50)
    stop = true
    await Promise.all(readers)
    expect((await all()).rows[0]).toMatchObject({ note: 'new' })
    expect(await db().select().from(counters)).toEqual([{ id: 1, deleted: 0 }])
  })

  test('SQL that names no schema means the tenant’s own, also where another tenant used the connection', async () => {
    const { b } = on.lab.pairs[isolation]
    const [customer] = await db()
      .insert(customers)
      .values({ name: 'Unqualified', email: 'unqualified@contract.test' })
      .returning()
    await db().insert(tickets).values({ customerId: customer!.id, subject: 'unqualified', status: 'pending' })
    for (let n = 0; n < 6; n++) {
      const mine = await db().execute(sql.raw(`select status, subject from tickets where subject = 'unqualified'`))
      expect(mine.rows).toEqual([{ status: 'pending', subject: 'unqualified' }])
      const theirs = await on.tenants
        .for(b.slug)
        .execute(sql.raw(`select status, subject from tickets where subject = 'unqualified'`))
      expect(theirs.rows).toEqual([])
    }
  })
}
