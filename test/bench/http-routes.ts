import { eq } from 'drizzle-orm'
import type { Hono } from 'hono'
import { defineRoutes } from '../../config/app-env.ts'
import * as schema from '../../config/schema.ts'

const { id, name, email } = schema.customers

/** The endpoint as an application writes it behind the gateway. */
export function appRoutesFor(): Hono {
  const app = defineRoutes(schema)
  app.get('/v1/customers/:id', async (c) =>
    c.json(
      await c.var.db
        .select({ id, name, email })
        .from(schema.customers)
        .where(eq(id, Number(c.req.param('id')))),
    ),
  )
  return app as unknown as Hono
}
