import assert from 'node:assert/strict'
import { eq, sql } from 'drizzle-orm'
import * as schema from '../../contract/schema.ts'
import { assertNoTrace, assertRefused, type Check, outcomeOf } from '../support/check.ts'
import { inRoom, type World } from '../support/world.ts'

/** Thrown to undo what a check wrote. */
const UNDO = new Error('undo')
async function undone(work: Promise<unknown>): Promise<void> {
  await work.catch((error) => {
    if (error !== UNDO) throw error
  })
}

const TABLES = ['customers', 'agents', 'tickets', 'comments', 'tags', 'ticket_tags', 'counters', 'slots', 'things']

/** Reads and writes with ordinary statements: nothing forged, only no thought given to other tenants. */
export const rowChecks: readonly Check[] = [
  {
    name: 'no table shows a row of another tenant',
    rule: 'A7, forced row-level security',
    async run({ a, b, inject }) {
      for (const table of TABLES) {
        for (const party of [a, b]) {
          const rows = await inject(party, `select tenant_id from "{room}".${table}`)
          assert.ok(rows.length > 0, `${table} shows nothing at all`)
          assert.ok(
            rows.every((r) => r.tenant_id === party.tenant.id),
            `${table} shows rows of another tenant`,
          )
        }
      }
    },
  },
  {
    name: 'joins, relations, counts and aggregates see one tenant only',
    rule: 'issue 2',
    async run(world) {
      const { a, b, tenants } = world
      const db = tenants.for(a.tenant)
      const joined = db
        .select()
        .from(schema.customers)
        .leftJoin(schema.tickets, eq(schema.tickets.customerId, schema.customers.id))
      const related = db.query.tickets.findMany({
        with: { customer: true, agent: true, comments: true, tags: { with: { tag: true } } },
      })
      for (const rows of [await joined, await related]) {
        assert.equal(rows.length, 3)
        assert.ok(!JSON.stringify(rows).includes(b.marker))
      }
      assert.equal(await db.$count(schema.comments), 3)
      const { rows } = await db.execute(
        sql`select max(name) as max, string_agg(name, ',') as names, count(*)::int as n from ${schema.customers}`,
      )
      assert.equal(rows[0]!.n, 3)
      assert.ok(!JSON.stringify(rows).includes(b.marker))
    },
  },
  {
    name: 'knowing an id of another tenant opens nothing',
    rule: 'issue 2',
    async run({ a, b, inject, interactive }) {
      assert.deepEqual(await inject(a, 'select * from "{room}".customers where id = $1', [b.id]), [])
      assert.deepEqual(await inject(a, 'select * from "{room}".customers where tenant_id = $1', [b.tenant.id]), [])
      await undone(
        interactive(a, async (run) => {
          assert.deepEqual(
            await run('update "{room}".customers set name = $1 where id = $2 returning id', ['taken', b.id]),
            [],
          )
          assert.deepEqual(await run('delete from "{room}".comments where id >= $1 returning id', [b.id]), [])
          assert.deepEqual(
            await run('delete from "{room}".things where tenant_id = $1 returning id', [b.tenant.id]),
            [],
          )
          throw UNDO
        }),
      )
    },
  },
  {
    name: 'an update or delete without a condition stays with its own tenant',
    rule: 'issue 2',
    async run({ a, b, interactive, root }) {
      for (const text of [
        'update "{room}".counters set deleted = deleted + 100',
        'delete from "{room}".things',
        `merge into "{room}".tags t using (select 'x' as color) s on t.id > 0 when matched then update set color = s.color`,
        'with gone as (delete from "{room}".ticket_tags returning *) select count(*) from gone',
      ]) {
        const count = async () => {
          const [row] = await root(b).unsafe(
            inRoom(
              `select (select sum(deleted) from "{room}".counters where tenant_id = $1)::int as deleted,
                (select count(*) from "{room}".things where tenant_id = $1)::int as things,
                (select count(*) from "{room}".tags where tenant_id = $1 and color is not null)::int as colours,
                (select count(*) from "{room}".ticket_tags where tenant_id = $1)::int as links`,
              b,
            ),
            [b.tenant.id],
          )
          return { ...row }
        }
        const before = await count()
        // Committed, so that it shows; what is A's own is put back.
        const own = await root(a).unsafe(inRoom(`select * from "{room}".things where tenant_id = $1`, a), [a.tenant.id])
        await interactive(a, (run) => run(text))
        assert.deepEqual(await count(), before, text)
        await interactive(a, async (run) => {
          for (const { id, label } of own) {
            await run('insert into "{room}".things (id, label) values ($1, $2) on conflict do nothing', [id, label])
          }
          await run('insert into "{room}".ticket_tags (ticket_id, tag_id) values ($1, $1) on conflict do nothing', [
            a.id,
          ])
          await run('update "{room}".tags set color = null')
          await run('update "{room}".counters set deleted = 0')
        })
      }
    },
  },
  {
    name: 'no row can be written into another tenant',
    rule: 'issue 2, WITH CHECK',
    async run(world) {
      const { a, b, inject } = world
      for (const text of [
        `insert into "{room}".tags (tenant_id, name) values ('${b.tenant.id}', 'planted')`,
        `update "{room}".tags set tenant_id = '${b.tenant.id}'`,
        `insert into "{room}".tags (tenant_id, id, name) values ('${b.tenant.id}', ${b.id}, 'planted')
           on conflict (tenant_id, id) do update set name = excluded.name`,
        `insert into "{room}".tags (tenant_id, name) values ('${b.tenant.id}', '${b.marker} tag') on conflict do nothing`,
        `merge into "{room}".tags t using (values (1)) s on t.id = -1
           when not matched then insert (tenant_id, name) values ('${b.tenant.id}', 'planted')`,
      ]) {
        // A foreign key or the policy: either says no before anything is stored.
        await assertRefused(inject(a, text), ['42501', '23503'], text)
      }
    },
  },
  {
    name: 'an upsert on a key that another tenant has makes a row of its own',
    rule: 'A7, unique keys carry tenant_id',
    async run({ a, b, interactive }) {
      await undone(
        interactive(a, async (run) => {
          const email = `${b.marker}-two@example.com`
          const upsert = `insert into "{room}".customers (name, email) values ('mine', $1)
            on conflict (tenant_id, email) do update set name = 'taken' returning name, tenant_id`
          assert.deepEqual(await run(upsert, [email]), [{ name: 'mine', tenant_id: a.tenant.id }])
          const byId = `insert into "{room}".tags (id, name) values ($1, 'mine')
            on conflict (tenant_id, id) do update set name = 'taken' returning name`
          assert.deepEqual(await run(byId, [b.id]), [{ name: 'mine' }])
          throw UNDO
        }),
      )
    },
  },
  {
    name: 'a unique value of another tenant is free',
    rule: 'A7, unique keys carry tenant_id',
    async run({ a, b, interactive }) {
      await undone(
        interactive(a, async (run) => {
          await run(`insert into "{room}".customers (name, email) values ('mine', $1)`, [`${b.marker}-two@example.com`])
          await run(`insert into "{room}".agents (name, email) values ('mine', $1)`, [`${b.marker}-agent@example.com`])
          await run(`insert into "{room}".tags (name) values ($1)`, [`${b.marker} tag`])
          await run(`insert into "{room}".customers (id, name, email) values ($1, 'mine', 'x')`, [b.id])
          throw UNDO
        }),
      )
    },
  },
  {
    name: 'the error of a conflict tells of the own row only',
    rule: 'issue 2',
    async run({ a, b, inject }) {
      const text = `insert into "{room}".customers (name, email) values ('mine', 'same@example.com')`
      const outcome = await assertRefused(inject(a, text), ['23505'], 'a duplicate of one’s own')
      assertNoTrace(outcome, b, 'the conflict')
      assert.ok(!outcome.text.includes(b.tenant.id))
    },
  },
  {
    name: 'a foreign key does not reach a row of another tenant',
    rule: 'A7, foreign keys carry tenant_id',
    async run(world) {
      const { a, b, inject } = world
      for (const text of [
        `insert into "{room}".tickets (customer_id, subject) values (${b.id}, 'x')`,
        `insert into "{room}".comments (ticket_id, body) values (${b.id}, 'x')`,
        `insert into "{room}".ticket_tags (ticket_id, tag_id) values (${a.id}, ${b.id})`,
        `update "{room}".tickets set agent_id = ${b.id}`,
        `update "{room}".comments set ticket_id = ${b.id}`,
      ]) {
        assertNoTrace(await assertRefused(inject(a, text), ['23503'], text), b, text)
      }
    },
  },
  {
    name: 'an error raised by a condition is raised by own rows only',
    rule: 'row-level security before leaky functions',
    async run({ a, b, inject }) {
      for (const text of [
        `select count(*) from "{room}".customers where email::int = 1`,
        `select count(*) from "{room}".customers where 1 / (case when name like '${b.marker}%' then 0 else 1 end) = 1`,
        `select cast(name as int) from "{room}".customers order by name desc`,
      ]) {
        assertNoTrace(await outcomeOf(inject(a, text)), b, text)
      }
      const divided = `select count(*)::int as n from "{room}".customers where 1 / (case when name like '${b.marker}%' then 0 else 1 end) = 1`
      assert.deepEqual(await inject(a, divided), [{ n: 3 }])
    },
  },
  {
    name: 'views and SQL functions see what their caller sees',
    rule: 'A7, security_invoker',
    async run({ a, b, inject }) {
      for (const text of ['select * from "{room}".customer_names', 'select "{room}".all_customer_names() as name']) {
        const outcome = await outcomeOf(inject(a, text))
        assert.equal(outcome.rows?.length, 3, text)
        assertNoTrace(outcome, b, text)
      }
    },
  },
  {
    name: 'a reference table is read by all and written by none',
    rule: 'DESIGN, shared reference tables',
    async run({ a, inject }) {
      assert.equal((await inject(a, 'select * from "{room}".countries')).length, 2)
      for (const text of [
        `insert into "{room}".countries values ('xx', 'Nowhere')`,
        `update "{room}".countries set name = 'x'`,
        'delete from "{room}".countries',
      ]) {
        await assertRefused(inject(a, text), ['42501'], text)
      }
    },
  },
  {
    name: 'the name of another tenant’s room opens nothing',
    rule: 'issue 2, other schemas',
    async run(world) {
      const { a, b, inject } = world
      for (const table of TABLES) {
        const outcome = await outcomeOf(inject(a, `select * from ${b.placement.schema}.${table}`))
        if (a.placement.schema === b.placement.schema) assertNoTrace(outcome, b, table)
        else assert.ok(outcome.rows === null || outcome.rows.length === 0, `${table} of the other room shows rows`)
        await outcomeOf(
          inject(
            a,
            `update ${b.placement.schema}.${table} set tenant_id = tenant_id where tenant_id = '${b.tenant.id}'`,
          ),
        )
      }
      for (const name of ['innkeeper_control', 'innkeeper_region', b.placement.database]) {
        const outcome = await outcomeOf(inject(a, `select * from "${name}".${b.placement.schema}.customers`))
        assertNoTrace(outcome, b, name)
      }
    },
  },
  {
    name: 'rows of a big table are counted right and apart by parallel workers',
    rule: 'A8, PARALLEL RESTRICTED',
    async run(world) {
      await countedByWorkers(world)
    },
  },
]

/** Makes the planner use workers whatever the table's size; a plan that has none would prove nothing, so that is checked. */
async function countedByWorkers({ a, b, interactive, root }: World): Promise<void> {
  const sqlOf = root(a)
  const version = Number((await sqlOf`show server_version_num`)[0]!.server_version_num)
  const force = version >= 160_000 ? 'debug_parallel_query' : 'force_parallel_mode'
  const settings = `select set_config('parallel_setup_cost', '0', true), set_config('parallel_tuple_cost', '0', true),
    set_config('min_parallel_table_scan_size', '0', true), set_config('${force}', 'on', true),
    set_config('max_parallel_workers_per_gather', '2', true)`
  const count = `select count(*)::int as n, count(*) filter (where label like '${b.marker}%')::int as foreign_rows from "{room}".things`
  await undone(
    interactive(a, async (run) => {
      await run(`insert into "{room}".things (label) select 'thing ' || n from generate_series(1, 4999) n`)
      await run(settings)
      assert.deepEqual(await run(count), [{ n: 5_000, foreign_rows: 0 }])
      throw UNDO
    }),
  )
}
