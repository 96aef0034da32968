import { createServer, get } from 'node:http'
import type { AddressInfo } from 'node:net'
import { getRequestListener } from '@hono/node-server'
import { Hono } from 'hono'
import { expect, test } from 'vitest'
import type { GatewayEnv } from '../../gateway/edge/env.ts'
import { createInFlight } from '../../gateway/edge/in-flight.ts'

test('a request whose client left before it was under way is told so, and a shutdown does not wait for it', async () => {
  const inFlight = createInFlight(60_000)
  const seen = Promise.withResolvers<AbortSignal>()
  const app = new Hono<GatewayEnv>()
  // As whoever opens the token of a forwarded request does.
  app.use(async (c, next) => {
    client.destroy()
    await new Promise((resolve) => c.env.outgoing!.once('close', resolve))
    await next()
  })
  app.use(inFlight.middleware)
  app.get('/', (c) => {
    seen.resolve(c.get('signal'))
    return c.body(null)
  })
  const server = createServer(getRequestListener(app.fetch))
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const client = get({ port: (server.address() as AddressInfo).port, host: '127.0.0.1' }).on('error', () => {})
  expect((await seen.promise).aborted).toBe(true)
  await inFlight.drain(60_000)
  inFlight.close()
  await new Promise((resolve) => server.close(resolve))
})
