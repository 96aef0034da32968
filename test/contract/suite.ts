import { setTimeout as sleep } from 'node:timers/promises'
import { and, asc, count, desc, eq, gt, inArray, like, sql } from 'drizzle-orm'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type Config, type ConfigInput, resolveConfig } from '../../config/index.ts'
import { migrateRoom } from '../../tiers/migrate/migrate-room.ts'
import { type OpenTenants, openTenants } from '../../tiers/open-tenants.ts'
import { ISOLATIONS, type Isolation } from '../../tiers/types.ts'
import { LAB_INPUT, type Lab, startLab, withCluster } from '../isolation/support/lab.ts'
import { BUSY } from '../support/busy.ts'
import type { PostgresVersion } from '../support/postgres.ts'
import { waitUntil } from '../support/wait.ts'
import { isInstalled } from './installed.ts'
import * as schema from './schema.ts'
import { transcriptOf } from './transcript.ts'

export interface ContractOptions {
  readonly version: PostgresVersion
  /** What stands between the gateway and the server; says where it listens. */
  readonly through?: (lab: Lab) => Promise<{ url: string; close(): Promise<void> } | null>
  readonly preparedStatements?: boolean
}

type Db = OpenTenants<typeof schema>

const { agents, countries, counters, customerNames, customers, slots, tags, tickets } = schema
const STATEMENT_MS = 700
const TRANSACTION_MS = 1_200

/** Runs everything that the one interface promises, over the three adapters, and that they all answer the same. */
export function contractSuite(title: string, { version, through, preparedStatements = true }: ContractOptions): void {
  describe.skipIf(!isInstalled(version))(title, () => {
    let lab: Lab
    let front: { url: string; close(): Promise<void> } | null = null
    let tenants: Db
    /** With limits that are soon reached, and few connections. */
    let strict: Db
    let config: Config

    beforeAll(async () => {
      lab = await startLab({ version })
      front = (await through?.(lab)) ?? null
      const env = { ...lab.env, ...(front && { INNKEEPER_US_1_URL: front.url }) }
      const resolve = (change: (i: ConfigInput) => ConfigInput) =>
        resolveConfig(change(LAB_INPUT), { kind: 'gateway', region: 'us' }, env)
      config = resolve(withCluster({ preparedStatements, connectionsMax: 12 }))
      tenants = await openTenants(config, { schema })
      const limits = {
        statementTimeoutMs: STATEMENT_MS,
        transactionTimeoutMs: TRANSACTION_MS,
        lockTimeoutMs: 300,
        connectionsMax: 2,
      }
      strict = await openTenants(
        resolve((from) => {
          const changed = withCluster({ preparedStatements, connectionsMax: 2, statementsPerConnectionMax: 8 })(from)
          const tiers = Object.fromEntries(
            Object.entries(from.tiers).map(([name, tier]) => [name, { ...tier, limits }]),
          )
          return { ...changed, tiers }
        }),
        { schema },
      )
    })
    afterAll(async () => {
      await tenants?.close(0)
      await strict?.close(0)
      await front?.close()
      await lab?.close()
    })

    describe.each(ISOLATIONS)('%s:', (isolation) => {
      const slug = `a-${isolation}`
      const db = () => tenants.for(slug)
      const databaseOf = (which: Isolation) => lab.root(lab.pairs[which].a.placement!.database)

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
        const other = lab.pairs[isolation].b
        await expect(
          db().execute(sql`insert into ${tags} (tenant_id, name) values (${other.id}, 'planted')`),
        ).rejects.toMatchObject({ code: expect.stringMatching(/42501/) })
        expect(await tenants.for(other.slug).$count(tags)).toBe(0)
      })

      test('a transaction commits whole, and rolls back whole when its callback throws', async () => {
        const written = await tenants.transaction(slug, async (tx) => {
          const [customer] = await tx.insert(customers).values({ name: 'Tx', email: 'tx@contract.test' }).returning()
          await tx.insert(tickets).values({ customerId: customer!.id, subject: 'in a transaction' })
          expect(await db().select().from(customers).where(eq(customers.id, customer!.id))).toEqual([])
          return customer!.id
        })
        expect(await db().$count(tickets, eq(tickets.customerId, written))).toBe(1)
        const failure = new Error('thrown by the application')
        await expect(
          tenants.transaction(slug, async (tx) => {
            await tx.delete(customers).where(eq(customers.id, written))
            throw failure
          }),
        ).rejects.toBe(failure)
        expect(await db().$count(customers, eq(customers.id, written))).toBe(1)
        expect(await tenants.transaction(slug, async () => 'nothing sent')).toBe('nothing sent')
      })

      test('a transaction in a transaction is a savepoint, as deep as one likes', async () => {
        await tenants.transaction(slug, async (tx) => {
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
            await expect(
              inner.transaction((third) => third.insert(tags).values({ name: 'kept' })),
            ).rejects.toMatchObject({ code: '23505' })
            await inner.insert(tags).values({ name: 'kept too' })
          })
        })
        const found = await db()
          .select({ name: tags.name })
          .from(tags)
          .where(inArray(tags.name, ['outer', 'inner', 'third', 'kept', 'kept too']))
        expect(found.map((t) => t.name).sort()).toEqual(['kept', 'kept too', 'outer'])
        await tenants.transaction(slug, (tx) =>
          tx.transaction((first) => first.insert(tags).values({ name: 'savepoint first' })),
        )
        expect(await db().$count(tags, eq(tags.name, 'savepoint first'))).toBe(1)
      })

      test('an error that is caught and not rolled back makes the commit an error, and nothing is kept', async () => {
        await expect(
          tenants.transaction(slug, async (tx) => {
            await tx.insert(tags).values({ name: 'lost with the failed' })
            await tx.execute(sql`select 1 / 0`).catch(() => {})
          }),
        ).rejects.toMatchObject({ code: 'conflict' })
        expect(await db().$count(tags, eq(tags.name, 'lost with the failed'))).toBe(0)
        await expect(
          tenants.transaction(slug, async (tx) => {
            await tx.execute(sql`select 1 / 0`).catch(() => {})
            return tx.select().from(tags)
          }),
        ).rejects.toMatchObject({ code: '25P02' })
      })

      test('statements of one transaction that are sent together run one after the other', async () => {
        const seen = await tenants.transaction(slug, (tx) =>
          Promise.all(Array.from({ length: 10 }, (_, n) => tx.execute<{ n: number }>(sql`select ${n}::int as n`))),
        )
        expect(seen.map((r) => r.rows[0]!.n)).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 8, 9])
      })

      test('a transaction that has ended takes no more statements', async () => {
        let late: Promise<unknown> | null = null
        await tenants.transaction(slug, async (tx) => {
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
            tenants.transaction(
              slug,
              async (tx) => {
                await tx.select().from(tags).limit(1)
                await tx.insert(tags).values({ name: 'written' })
              },
              options,
            ),
          ).rejects.toMatchObject({ code: '25006' })
          const session = tenants.session(slug)
          await expect(
            session.execute({ text: 'delete from "{room}".tags', params: [] }, options),
          ).rejects.toMatchObject({ code: '25006' })
        }
        await db().transaction((tx) => tx.select().from(tags), { accessMode: 'read only' })
        expect(await db().$count(tags)).toBeGreaterThan(0)
      })

      test('isolation levels hold: repeatable read sees one state, serializable gives 40001 on a conflict', async () => {
        await tenants.transaction(
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
        const both = await Promise.allSettled(
          [1, 2].map((n) =>
            tenants.transaction(
              slug,
              async (tx) => {
                const [row] = await tx.select({ n: count() }).from(slots)
                await sleep(120)
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
        await tenants.transaction(slug, async (tx) => {
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
          tenants.transaction(slug, async (tx) => {
            await tx.update(slots).set({ place: 2 }).where(eq(slots.id, 2))
          }),
        ).rejects.toMatchObject({ code: '23505' })
        expect(await db().$count(slots, eq(slots.place, 2))).toBe(1)
      })

      test('a statement ends at the tier’s timeout, and a shorter one may be asked for', async () => {
        const started = performance.now()
        await expect(strict.for(slug).execute(sql`select pg_sleep(10)`)).rejects.toMatchObject({
          code: 'statement_timeout',
        })
        expect(performance.now() - started).toBeLessThan((STATEMENT_MS + 2_000) * BUSY)
        const text = 'select pg_sleep(10)'
        const short = strict.session(slug).execute({ text, params: [] }, { statementTimeoutMs: 50 })
        await expect(short).rejects.toMatchObject({ code: 'statement_timeout' })
        // Not even none at all is more than the tier allows.
        for (const statementTimeoutMs of [60_000, 0, 0.5]) {
          const asked = strict.session(slug).execute({ text, params: [] }, { statementTimeoutMs })
          await expect(asked).rejects.toMatchObject({ code: 'statement_timeout' })
        }
        await expect(
          strict.transaction(slug, async (tx) => {
            await tx.execute(sql`select 1`)
            await tx.execute(sql`select pg_sleep(10)`)
          }),
        ).rejects.toMatchObject({ code: 'statement_timeout' })
        expect(await strict.for(slug).execute(sql`select 1 as one`)).toMatchObject({ rows: [{ one: 1 }] })
      })

      test('a transaction that is open too long ends, whatever its callback is doing', async () => {
        const endings = [
          async (tx: Parameters<Parameters<Db['transaction']>[1]>[0]) => {
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
            strict.transaction(slug, async (tx) => {
              await tx.insert(tags).values({ name: 'too long' })
              await hang(tx)
            }),
          ).rejects.toMatchObject({ code: 'statement_timeout' })
          expect(performance.now() - started).toBeLessThan((TRANSACTION_MS + 3_000) * BUSY)
        }
        // Both connections of the pool are free again.
        expect(
          await Promise.all([1, 2, 3].map(() => strict.for(slug).$count(tags, eq(tags.name, 'too long')))),
        ).toEqual([0, 0, 0])
      })

      test('a signal cancels the running statement at the server and frees the connection', async () => {
        const marker = `pg_sleep(9 + ${ISOLATIONS.indexOf(isolation)})`
        const running = async () => {
          const [row] = await lab.root(
            'postgres',
          )`select count(*)::int as n from pg_stat_activity where state = 'active' and query like ${`%${marker}%`} and pid <> pg_backend_pid()`
          return row!.n as number
        }
        const aborting = new AbortController()
        const asked = strict
          .session(slug)
          .execute({ text: `select ${marker}`, params: [] }, { signal: aborting.signal, statementTimeoutMs: 60_000 })
        asked.catch(() => {})
        await waitUntil('the statement to run', async () => (await running()) === 1)
        aborting.abort()
        await expect(asked).rejects.toMatchObject({ code: 'client_closed_request' })
        await waitUntil('the statement to be gone', async () => (await running()) === 0)
        const inTransaction = new AbortController()
        const work = strict.transaction(
          slug,
          async (tx) => {
            await tx.insert(tags).values({ name: 'given up' })
            setTimeout(() => inTransaction.abort(), 30)
            await tx.execute(sql.raw('select pg_sleep(20)'))
          },
          { signal: inTransaction.signal },
        )
        await expect(work).rejects.toMatchObject({ code: 'client_closed_request' })
        expect(
          await Promise.all([1, 2, 3].map(() => strict.for(slug).$count(tags, eq(tags.name, 'given up')))),
        ).toEqual([0, 0, 0])
      })

      test('a signal that was aborted before sends nothing', async () => {
        const signal = AbortSignal.abort()
        await expect(
          strict
            .session(slug)
            .execute({ text: `insert into "{room}".tags (name) values ('aborted before')`, params: [] }, { signal }),
        ).rejects.toBeDefined()
        await expect(
          strict.transaction(slug, (tx) => tx.insert(tags).values({ name: 'aborted before' }), { signal }),
        ).rejects.toBeDefined()
        await sleep(50)
        expect(await strict.for(slug).$count(tags, eq(tags.name, 'aborted before'))).toBe(0)
      })

      test('a connection that dies under a statement is an unknown outcome, and the pool is well again', async () => {
        const kill = (marker: string) =>
          lab.root(
            'postgres',
          )`select pg_terminate_backend(pid) from pg_stat_activity where query like ${`%${marker}%`} and pid <> pg_backend_pid() and usename = 'innkeeper_app'`
        const marker = `killed_${isolation}`
        // Drizzle's statements begin when they are awaited, each time anew.
        const dying = tenants.session(slug).execute({ text: `select pg_sleep(5) as ${marker}`, params: [] })
        dying.catch(() => {})
        await waitUntil('the statement to be killed', async () => (await kill(marker)).length > 0)
        await expect(dying).rejects.toMatchObject({ code: 'outcome_unknown' })
        // A read changed nothing, so it is asked once more, on another connection.
        const read = tenants
          .session(slug)
          .execute({ text: `select pg_sleep(1) as ${marker}_r`, params: [] }, { readOnly: true })
        await waitUntil('the read to be killed', async () => (await kill(`${marker}_r`)).length > 0)
        await expect(read).resolves.toMatchObject({ rowCount: 1 })
        const inTransaction = tenants.transaction(slug, async (tx) => {
          await tx.insert(tags).values({ name: marker })
          await tx.execute(sql.raw(`select pg_sleep(5) as ${marker}_2`))
        })
        inTransaction.catch(() => {})
        await waitUntil('the transaction to be killed', async () => (await kill(`${marker}_2`)).length > 0)
        await expect(inTransaction).rejects.toMatchObject({ code: 'outcome_unknown' })
        // Idle ones die too, and nobody notices.
        await lab.root(
          'postgres',
        )`select pg_terminate_backend(pid) from pg_stat_activity where usename = 'innkeeper_app'`
        await sleep(50)
        expect(await Promise.all(Array.from({ length: 20 }, () => db().$count(tags, eq(tags.name, marker))))).toEqual(
          Array(20).fill(0),
        )
      })

      test('a value that cannot be sent is the caller’s error, and costs no connection', async () => {
        const circular: Record<string, unknown> = {}
        circular.self = circular
        await expect(db().insert(customers).values({ name: 'x', email: 'circular', custom: circular })).rejects.toThrow(
          /circular/i,
        )
        await expect(tenants.session(slug).execute({ text: 'select $1', params: [circular] })).rejects.toThrow(
          /circular/i,
        )
        await expect(
          tenants.transaction(slug, async (tx) => {
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
            const { rows } = await strict
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
        const { placement } = lab.pairs[isolation].a
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
        const { b } = lab.pairs[isolation]
        const [customer] = await db()
          .insert(customers)
          .values({ name: 'Unqualified', email: 'unqualified@contract.test' })
          .returning()
        await db().insert(tickets).values({ customerId: customer!.id, subject: 'unqualified', status: 'pending' })
        for (let n = 0; n < 6; n++) {
          const mine = await db().execute(sql.raw(`select status, subject from tickets where subject = 'unqualified'`))
          expect(mine.rows).toEqual([{ status: 'pending', subject: 'unqualified' }])
          const theirs = await tenants
            .for(b.slug)
            .execute(sql.raw(`select status, subject from tickets where subject = 'unqualified'`))
          expect(theirs.rows).toEqual([])
        }
      })

      test('outside a scope there is no database, inside it is the tenant’s, wherever the code runs on', async () => {
        expect(() => tenants.db()).toThrow(expect.objectContaining({ code: 'no_tenant' }))
        expect(() => tenants.current()).toThrow(expect.objectContaining({ code: 'no_tenant' }))
        const found = await tenants.scope(slug, async (own) => {
          expect(tenants.current()).toMatchObject({ slug, tenantId: lab.pairs[isolation].a.id })
          expect(await own.$count(customers)).toBe(await tenants.db().$count(customers))
          await sleep(5)
          const later = await new Promise<string>((resolve) => setTimeout(() => resolve(tenants.current().slug), 1))
          const next = await new Promise<string>((resolve) =>
            process.nextTick(() => setImmediate(() => resolve(tenants.current().slug))),
          )
          return [later, next]
        })
        expect(found).toEqual([slug, slug])
        expect(() => tenants.db()).toThrow(expect.objectContaining({ code: 'no_tenant' }))
      })

      test('inside a scope another tenant is out of reach, the same one is not', async () => {
        const { a, b } = lab.pairs[isolation]
        await tenants.scope(slug, async () => {
          expect(await tenants.for(a.slug).$count(customers)).toBeGreaterThan(0)
          expect(await tenants.scope(a.id, (own) => own.$count(customers))).toBeGreaterThan(0)
          for (const other of [b.slug, b.id, b]) {
            await expect((async () => tenants.for(other).select().from(tags))()).rejects.toMatchObject({
              code: 'tenant_switch',
            })
            await expect(tenants.scope(other, async () => 1)).rejects.toMatchObject({ code: 'tenant_switch' })
            await expect((async () => tenants.transaction(other, async () => 1))()).rejects.toMatchObject({
              code: 'tenant_switch',
            })
          }
        })
      })

      test('interleaved scopes of two tenants keep to themselves', async () => {
        const { a, b } = lab.pairs[isolation]
        await tenants
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
            return tenants.scope(own.slug, async () => {
              await sleep(n % 5)
              expect(tenants.current().slug).toBe(own.slug)
              const names = (await tenants.db().select().from(tags)).map((t) => t.name)
              expect(names).toContain(`of ${own.slug}`)
              expect(names).not.toContain(`of ${other.slug}`)
            })
          }),
        )
      })

      test('an unknown tenant is an error at the first statement', async () => {
        await expect(tenants.for('nobody-here').select().from(tags)).rejects.toMatchObject({ code: 'tenant_not_found' })
        await expect(tenants.transaction('nobody-here', async (tx) => tx.select().from(tags))).rejects.toMatchObject({
          code: 'tenant_not_found',
        })
      })

      test('conditions, order, pages and groups give what they say', async () => {
        await db()
          .insert(agents)
          .values(
            [1, 2, 3, 4].map((n) => ({ name: `Agent ${n}`, email: `agent-${n}@contract.test`, active: n % 2 === 0 })),
          )
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
    })

    test('withEachTenant visits every tenant once, each in a scope of its own, and reports who failed', async () => {
      const seen: string[] = []
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
      const transcripts = await Promise.all(ISOLATIONS.map((isolation) => transcriptOf(tenants, `b-${isolation}`)))
      expect(transcripts[0]!.length).toBeGreaterThan(25)
      expect(transcripts[1]).toEqual(transcripts[0])
      expect(transcripts[2]).toEqual(transcripts[0])
      expect(transcripts[0]).toMatchSnapshot()
    })
  })
}
