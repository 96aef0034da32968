import {
  and,
  asc,
  avg,
  between,
  countDistinct,
  desc,
  eq,
  exists,
  ilike,
  isNull,
  like,
  max,
  not,
  or,
  sql,
  sum,
} from 'drizzle-orm'
import { alias, union } from 'drizzle-orm/pg-core'
import type { Tenants } from '../../tiers/tenants.ts'
import type { QueryResult } from '../../tiers/types.ts'
import * as schema from './schema.ts'

const { agents, comments, customers, tags, things, ticketTags, tickets } = schema

/** A statement's result without the numbers that tables and types have in one database. */
function plain(answer: unknown): unknown {
  if (typeof answer !== 'object' || answer === null || !('command' in answer)) return answer
  const { command, rowCount, rows } = answer as QueryResult
  return { command, rowCount, rows }
}

/**
 * A piece of work in everything that Drizzle's interface has, with the answer of each step, errors included. Ids are given
 * where they would differ.
 */
export async function transcriptOf(tenants: Tenants<typeof schema>, slug: string): Promise<unknown[]> {
  const db = tenants.for(slug)
  const steps: unknown[] = []
  const step = async (name: string, running: PromiseLike<unknown>) => {
    try {
      steps.push([name, plain(await running)])
    } catch (error) {
      const { code, message, constraint, detail } = error as Record<string, string | undefined>
      // The detail of a key names the tenant, which differs.
      steps.push([name, 'error', { code, message, constraint, hasDetail: detail !== undefined }])
    }
  }
  const at = new Date('2026-03-04T05:06:07.089Z')
  await db.delete(tags)

  await step(
    'insert',
    db
      .insert(customers)
      .values([1, 2, 3].map((n) => ({ id: n, name: `Customer ${n}`, email: `c${n}@x.test`, createdAt: at })))
      .returning(),
  )
  await step(
    'insert with enums',
    db
      .insert(tickets)
      .values(
        [1, 2, 3, 4].map((n) => ({
          id: n,
          customerId: (n % 3) + 1,
          subject: `Subject ${n}`,
          status: n % 2 ? ('open' as const) : ('resolved' as const),
          createdAt: at,
          updatedAt: at,
          custom: { n, deep: { list: [n, null, 'ü'] } },
        })),
      )
      .returning(),
  )
  await step(
    'insert children',
    db
      .insert(comments)
      .values([1, 2, 3, 4, 5].map((n) => ({ id: n, ticketId: (n % 4) + 1, body: `Body ${n}`, createdAt: at }))),
  )
  await step(
    'tags',
    db
      .insert(tags)
      .values([
        { id: 1, name: 'red' },
        { id: 2, name: 'blue', color: '#00f' },
      ])
      .returning(),
  )
  await step(
    'links',
    db
      .insert(ticketTags)
      .values([
        { ticketId: 1, tagId: 1 },
        { ticketId: 1, tagId: 2 },
        { ticketId: 2, tagId: 2 },
      ])
      .returning(),
  )
  await step(
    'where',
    db
      .select()
      .from(tickets)
      .where(and(eq(tickets.status, 'open'), not(like(tickets.subject, '%3')))),
  )
  await step(
    'or, ilike, between, null',
    db
      .select({ id: tickets.id })
      .from(tickets)
      .where(or(ilike(tickets.subject, 'SUBJECT 1'), and(between(tickets.id, 3, 4), isNull(tickets.agentId))))
      .orderBy(asc(tickets.id)),
  )
  await step(
    'inner join',
    db
      .select({ subject: tickets.subject, name: customers.name })
      .from(tickets)
      .innerJoin(customers, eq(customers.id, tickets.customerId))
      .orderBy(tickets.id),
  )
  await step(
    'left join',
    db
      .select()
      .from(customers)
      .leftJoin(tickets, and(eq(tickets.customerId, customers.id), eq(tickets.status, 'resolved')))
      .orderBy(customers.id, tickets.id),
  )
  const other = alias(tickets, 'other')
  await step(
    'self join',
    db
      .select({ a: tickets.id, b: other.id })
      .from(tickets)
      .innerJoin(other, and(eq(other.customerId, tickets.customerId), sql`${other.id} > ${tickets.id}`)),
  )
  await step(
    'relations',
    db.query.tickets.findMany({
      columns: { id: true, subject: true },
      with: {
        customer: { columns: { name: true } },
        agent: true,
        comments: { orderBy: [desc(comments.id)], columns: { body: true } },
        tags: { columns: {}, with: { tag: { columns: { name: true } } } },
      },
      orderBy: [asc(tickets.id)],
    }),
  )
  await step(
    'relation, first',
    db.query.customers.findFirst({
      where: eq(customers.id, 2),
      with: { tickets: { columns: { id: true }, limit: 1 } },
    }),
  )
  await step('relation, none', db.query.customers.findFirst({ where: eq(customers.id, 99) }))
  await step(
    'aggregates',
    db
      .select({
        max: max(tickets.id),
        sum: sum(tickets.id),
        avg: avg(tickets.id),
        customers: countDistinct(tickets.customerId),
      })
      .from(tickets),
  )
  await step(
    'having',
    db
      .select({ customer: tickets.customerId, n: sql<number>`count(*)::int` })
      .from(tickets)
      .groupBy(tickets.customerId)
      .having(sql`count(*) > 1`),
  )
  await step(
    'exists',
    db
      .select({ id: customers.id })
      .from(customers)
      .where(
        exists(
          db
            .select({ one: sql`1` })
            .from(tickets)
            .where(and(eq(tickets.customerId, customers.id), eq(tickets.status, 'resolved'))),
        ),
      )
      .orderBy(customers.id),
  )
  const open = db
    .$with('open_ones')
    .as(db.select({ id: tickets.id, customerId: tickets.customerId }).from(tickets).where(eq(tickets.status, 'open')))
  await step('with', db.with(open).select({ n: sql<number>`count(*)::int` }).from(open))
  await step(
    'union',
    union(db.select({ name: tags.name }).from(tags), db.select({ name: customers.name }).from(customers)).orderBy(
      sql`1`,
    ),
  )
  await step(
    'subquery',
    db.select().from(
      db
        .select({ n: sql<number>`count(*)::int`.as('n') })
        .from(comments)
        .as('counted'),
    ),
  )
  await step('distinct', db.selectDistinct({ status: tickets.status }).from(tickets).orderBy(tickets.status))
  await step(
    'for update',
    tenants.transaction(slug, (tx) =>
      tx.select({ id: tickets.id }).from(tickets).where(eq(tickets.id, 1)).for('update'),
    ),
  )
  await step('count', db.$count(tickets, eq(tickets.status, 'open')))
  await step(
    'execute',
    db.execute(
      sql`select ${customers.name} as name, ${7}::int as seven, ${at.toISOString()}::timestamptz as at from ${customers} where ${customers.id} = ${1}`,
    ),
  )
  const prepared = db
    .select({ name: customers.name })
    .from(customers)
    .where(eq(customers.id, sql.placeholder('id')))
    .prepare('by_id')
  for (const id of [1, 2, 99]) await step(`prepared ${id}`, prepared.execute({ id }))
  await step(
    'upsert',
    db
      .insert(tags)
      .values({ id: 2, name: 'azure', color: '#0ff' })
      .onConflictDoUpdate({ target: [tags.id], set: { name: 'azure' } })
      .returning(),
  )
  await step(
    'upsert by sql',
    db.execute(
      sql`insert into ${tags} (name, color) values ('red', '#f00') on conflict (tenant_id, name) do update set color = excluded.color returning id, name, color`,
    ),
  )
  await step('on conflict do nothing', db.insert(tags).values({ id: 1, name: 'red' }).onConflictDoNothing().returning())
  await step('duplicate', db.insert(customers).values({ id: 50, name: 'Twice', email: 'c1@x.test' }))
  await step('no parent', db.insert(tickets).values({ id: 50, customerId: 999, subject: 'x' }))
  await step('no value', db.execute(sql`insert into ${customers} (id, name) values (51, 'x')`))
  await step('bad enum', db.execute(sql`update ${tickets} set status = 'unheard of'`))
  await step('bad column', db.execute(sql`select nothing from ${tickets}`))
  await step('bad syntax', db.execute(sql`select from from`))
  await step('bad number', db.execute(sql`select ${'x'}::int`))
  await step(
    'update',
    db
      .update(tickets)
      .set({ priority: 'urgent', resolvedAt: at, custom: { changed: true } })
      .where(eq(tickets.id, 3))
      .returning(),
  )
  await step(
    'update from',
    db
      .update(tickets)
      .set({ subject: sql`${customers.name} || ' asks'` })
      .from(customers)
      .where(and(eq(customers.id, tickets.customerId), eq(tickets.id, 4)))
      .returning({ subject: tickets.subject }),
  )
  await step('nothing updated', db.update(tickets).set({ subject: 'x' }).where(eq(tickets.id, 999)))
  await step(
    'every type',
    db
      .insert(things)
      .values({
        id: 1,
        label: 'Ünïcode \u{1f600} \' " \\ \n',
        price: '12345678901234.123456',
        labels: ['a', 'b,c', '"d"', ''],
        counts: [1, -2, 3],
        born: '1999-12-31',
        localAt: new Date('2001-02-03T04:05:06.007Z'),
        at,
        flag: false,
        data: { a: [1, { b: null }] },
        big: 9_007_199_254_740_993n,
        ratio: 0.1,
      })
      .returning(),
  )
  await step('nulls', db.insert(things).values({ id: 2, label: '' }).returning())
  await step(
    'json scalars',
    db
      .insert(things)
      .values([3, 4, 5].map((id, n) => ({ id, label: 'j', data: [1, 'text', [true, null]][n] })))
      .returning({ data: things.data }),
  )
  await step(
    'json path',
    db
      .select({ list: sql`${tickets.custom}->'deep'->'list'`, n: sql<string>`${tickets.custom}->>'n'` })
      .from(tickets)
      .where(sql`${tickets.custom} @> '{"n": 2}'`),
  )
  await step('array', db.select({ id: things.id }).from(things).where(sql`${'b,c'} = any(${things.labels})`))
  await step(
    'raw types',
    db.execute(
      sql`select 1::int2 as i2, 2::int8 as i8, 1.50::numeric as num, 'x'::text as t, true as b, null as n, date '2026-01-02' as d, interval '1 day 2 hours' as i, array[1,2] as a, '\\x00ff'::bytea as bytes, 'open'::"{room}".ticket_status as e`.inlineParams(),
    ),
  )
  await step('cascade', db.delete(customers).where(eq(customers.id, 2)).returning({ id: customers.id }))
  await step(
    'after cascade',
    db
      .select({
        tickets: sql<number>`(select count(*)::int from ${tickets})`,
        comments: sql<number>`(select count(*)::int from ${comments})`,
        links: sql<number>`(select count(*)::int from ${ticketTags})`,
      })
      .from(sql`(select) one`),
  )
  await step('agents', db.insert(agents).values({ id: 5, name: 'A', email: 'a@x.test', createdAt: at }).returning())
  await step(
    'restricted',
    tenants.transaction(slug, async (tx) => {
      await tx.update(tickets).set({ agentId: 5 }).where(eq(tickets.id, 3))
      await tx.delete(agents).where(eq(agents.id, 5))
    }),
  )
  await step('view', db.select().from(schema.customerNames).orderBy(schema.customerNames.id))
  await step('function', db.execute(sql`select "{room}".all_customer_names() as name order by 1`))
  await step('reference', db.select().from(schema.countries).orderBy(schema.countries.code))
  await step('reference write', db.insert(schema.countries).values({ code: 'xx', name: 'x' }))
  await step('empty select', db.execute(sql`select`))
  await step('values', db.execute(sql`values (1, 'a'), (2, 'b')`))
  await step('delete', db.delete(things).returning({ id: things.id }))
  return steps
}
