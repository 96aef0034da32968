import { setTimeout as sleep } from 'node:timers/promises'
import { eq, sql } from 'drizzle-orm'
import { defineRoutes } from '../../../config/app-env.ts'
import * as schema from '../../../config/schema.ts'

/** What a load does in more than one statement, or by a statement that the data API has not: an application's own code. */
const app = defineRoutes(schema)
const { customers, tags, tickets } = schema

app.post('/load/come', async (c) => {
  const { email } = await c.req.json<{ email: string }>()
  const id = await c.var.db.transaction(async (db) => {
    const [made] = await db.insert(customers).values({ name: 'y', email }).returning({ id: customers.id })
    const customerId = made!.id
    await db.insert(tickets).values([
      { customerId, subject: 's' },
      { customerId, subject: 't' },
    ])
    return customerId
  })
  return c.json({ id: String(id) })
})

app.post('/load/transfer', async (c) => {
  const { from, to, holdMs } = await c.req.json<{ from: string; to: string; holdMs: number }>()
  await c.var.db.transaction(async (db) => {
    for (const [i, name] of [from, to].sort().entries()) {
      if (i > 0 && holdMs > 0) await sleep(holdMs)
      await db
        .update(tags)
        .set({ color: plus(from === to ? 0 : name === from ? -1 : 1) })
        .where(eq(tags.name, name))
    }
  })
  return c.body(null, 204)
})

app.post('/load/count', async (c) => {
  await c.var.db
    .update(tags)
    .set({ color: plus(1) })
    .where(eq(tags.name, 'counter'))
  return c.body(null, 204)
})

function plus(n: number) {
  return sql`(${tags.color}::int + ${n}::int)::text`
}

export default app
