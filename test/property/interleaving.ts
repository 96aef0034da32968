import assert from 'node:assert/strict'
import { eq, sql } from 'drizzle-orm'
import type { Tenants } from '../../tiers/tenants.ts'
import * as schema from '../contract/schema.ts'

const { tags, things, counters } = schema

export interface InterleavingOptions {
  readonly tenants: Tenants<typeof schema>
  readonly slugs: readonly string[]
  readonly operations: number
  /** How many are under way at once. */
  readonly concurrency: number
  /** Of the sequence of choices, so that a failure can be repeated. */
  readonly seed: number
}

export interface InterleavingReport {
  readonly operations: number
  readonly rowsRead: number
  readonly tenantsUsed: number
}

type Db = ReturnType<Tenants<typeof schema>['for']>
type Operation = (db: Db, slug: string, n: number) => Promise<number>

/** Each row carries its tenant's slug; each read looks at all of them. */
const owned = (slug: string) => (rows: readonly { readonly label: unknown }[]) => {
  for (const { label } of rows) assert.ok(String(label).startsWith(`${slug}/`), `${slug} read ${label}`)
  return rows.length
}

export async function interleave(options: InterleavingOptions): Promise<InterleavingReport> {
  const { tenants, slugs, operations, concurrency } = options
  const random = randomOf(options.seed)
  const mark = (slug: string, n: number) => `${slug}/${options.seed}-${n}`
  const used = new Set<string>()
  let rowsRead = 0
  let next = 0
  const insert: Operation = async (db, slug, n) => {
    const rows = await db
      .insert(things)
      .values({ label: mark(slug, n) })
      .returning({ label: things.label })
    assert.deepEqual(rows, [{ label: mark(slug, n) }])
    return 1
  }
  const read: Operation = async (db, slug) =>
    owned(slug)(await db.select({ label: things.label }).from(things).limit(50))
  const kinds: readonly Operation[] = [
    insert,
    read,
    read,
    // By SQL that names no schema.
    async (db, slug) => {
      const { rows } = await db.execute<{ label: string; mine: boolean }>(sql.raw('select label from things limit 50'))
      return owned(slug)(rows)
    },
    async (db, slug, n) => {
      await db.insert(tags).values({ name: mark(slug, n) })
      const found = await db.select({ label: tags.name }).from(tags).limit(20)
      return owned(slug)(found)
    },
    async (db, slug, n) => {
      const changed = await db
        .update(things)
        .set({ big: BigInt(n) })
        .returning({ label: things.label })
      return owned(slug)(changed)
    },
    async (db, slug) =>
      owned(slug)(
        await db
          .delete(things)
          .where(sql`${things.id} in (select id from ${things} order by id limit 2)`)
          .returning({ label: things.label }),
      ),
    async (_db, slug, n) =>
      tenants.transaction(slug, async (tx) => {
        await tx.insert(things).values({ label: mark(slug, n) })
        await tx
          .transaction(async (inner) => {
            await inner.insert(things).values({ label: mark(slug, -n) })
            throw new Error('undone')
          })
          .catch((error) => assert.equal(error.message, 'undone'))
        const rows = await tx.select({ label: things.label }).from(things).limit(50)
        assert.ok(!rows.some((r) => r.label === mark(slug, -n)))
        return owned(slug)(rows)
      }),
    // Given up: nothing of it stays.
    async (_db, slug, n) => {
      await tenants
        .transaction(slug, async (tx) => {
          await tx.insert(things).values({ label: mark(`given-up-${slug}`, n) })
          throw new Error('given up')
        })
        .catch((error) => assert.equal(error.message, 'given up'))
      return 0
    },
    async (db, slug) => {
      await db.execute(sql`select set_config('timezone', 'Asia/Tokyo', false), set_config('x.tenant', ${slug}, false)`)
      return 0
    },
    async (db) => {
      const { rows } = await db.execute<{ zone: string; left: string | null }>(
        sql`select current_setting('timezone') as zone, nullif(current_setting('x.tenant', true), '') as left`,
      )
      assert.deepEqual(rows, [{ zone: 'UTC', left: null }])
      return 0
    },
    async (db, slug) => {
      await db.execute(sql`select 1 / 0`).catch((error) => assert.equal(error.code, '22012'))
      return read(db, slug, 0)
    },
    async (_db, slug) =>
      tenants.scope(slug, async () => {
        await tenants.db().insert(counters).values({ id: 1 }).onConflictDoNothing()
        const rows = await tenants
          .db()
          .update(counters)
          .set({ deleted: sql`${counters.deleted} + 1` })
          .where(eq(counters.id, 1))
          .returning()
        assert.equal(rows.length, 1)
        return 1
      }),
  ]
  const worker = async () => {
    while (next < operations) {
      const n = ++next
      const slug = slugs[Math.floor(random() * slugs.length)]!
      used.add(slug)
      // Not in one expression with the await, which would add to what the sum was before.
      const rows = await kinds[Math.floor(random() * kinds.length)]!(tenants.for(slug), slug, n)
      rowsRead += rows
    }
  }
  await Promise.all(Array.from({ length: concurrency }, worker))
  return { operations: next, rowsRead, tenantsUsed: used.size }
}

/** A small generator with a seed (mulberry32): Math.random cannot be repeated. */
function randomOf(seed: number): () => number {
  let state = seed
  return () => {
    state = (state + 0x6d2b79f5) | 0
    let t = Math.imul(state ^ (state >>> 15), 1 | state)
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t
    return ((t ^ (t >>> 14)) >>> 0) / 4_294_967_296
  }
}
