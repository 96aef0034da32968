import { and, eq, ne } from 'drizzle-orm'
import { defineRoutes } from './app-env.ts'
import * as schema from './schema.ts'

/** The demo's own endpoints, beside the data API: plain single-tenant code. */
const app = defineRoutes(schema)

/** Resolves a ticket and says so in a comment: both or neither. Resolving a resolved one changes nothing. */
app.post('/v1/tickets/:id/resolve', async (c) => {
  const id = Number(c.req.param('id'))
  if (!Number.isSafeInteger(id) || id < 1) {
    return c.json({ code: 'invalid_request', message: 'The ticket id is not a number', field: 'id' }, 400)
  }
  const { tickets, comments } = schema
  const answer = await c.var.db.transaction(async (db) => {
    const [resolved] = await db
      .update(tickets)
      .set({ status: 'resolved', resolvedAt: new Date(), updatedAt: new Date() })
      .where(and(eq(tickets.id, id), ne(tickets.status, 'resolved')))
      .returning()
    if (resolved === undefined) return db.query.tickets.findFirst({ where: eq(tickets.id, id) })
    const by = c.var.user?.sub ?? 'the help desk'
    await db.insert(comments).values({ ticketId: id, body: `Resolved by ${by}.` })
    return resolved
  })
  if (answer === undefined) return c.json({ code: 'not_found', message: `There is no ticket ${id}` }, 404)
  return c.json(answer)
})

/** What a dashboard's first page shows. */
app.get('/v1/summary', async (c) => {
  const { db } = c.var
  const [open, customers] = await Promise.all([
    db.$count(schema.tickets, eq(schema.tickets.status, 'open')),
    db.$count(schema.customers),
  ])
  return c.json({ tenant: c.var.tenant.slug, open_tickets: open, customers })
})

export default app
