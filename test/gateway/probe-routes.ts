import { createHash } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import type { HttpBindings } from '@hono/node-server'
import { Hono } from 'hono'

interface Env {
  Bindings: HttpBindings
  Variables: { signal: AbortSignal }
}

/** Endpoints that show what arrived at the home region, and answer in every way that HTTP has. */
export function probeRoutes(): Hono {
  const app = new Hono<Env>()
  app.all('/probe/headers', (c) =>
    c.json({ method: c.req.method, url: c.req.url, raw: c.env.incoming.rawHeaders, trailers: c.env.incoming.trailers }),
  )
  app.all('/probe/body', async (c) => c.json({ body: await c.req.text(), trailers: c.env.incoming.trailers }))
  app.post('/probe/upload', async (c) => {
    const hash = createHash('sha256')
    let bytes = 0
    for await (const chunk of c.env.incoming) {
      hash.update(chunk)
      bytes += chunk.length
    }
    return c.json({ bytes, sha256: hash.digest('hex') })
  })
  app.get('/probe/download/:mb', (c) => {
    const chunk = new Uint8Array(65_536).fill(7)
    let left = Number(c.req.param('mb')) * 16
    const body = new ReadableStream({
      pull(controller) {
        if (left-- > 0) controller.enqueue(chunk)
        else controller.close()
      },
    })
    return c.body(body, 200, { 'content-type': 'application/octet-stream' })
  })
  app.all('/probe/status/:code', (c) =>
    c.body(null, Number(c.req.param('code')) as 204, { etag: '"v1"', 'x-probe': 'a' }),
  )
  app.get('/probe/wait/:seconds', async (c) => {
    await sleep(Number(c.req.param('seconds')) * 1_000, undefined, { signal: c.var.signal }).catch(() => {})
    return c.json({ waited: true })
  })
  app.get('/probe/late/:seconds', (c) => {
    const body = new ReadableStream({
      async start(controller) {
        await sleep(Number(c.req.param('seconds')) * 1_000)
        controller.enqueue(new TextEncoder().encode('data: late\n\n'))
        controller.close()
      },
    })
    return c.body(body, 200, { 'content-type': 'text/event-stream' })
  })
  app.get('/probe/trailers', (c) => {
    c.env.outgoing.writeHead(200, {
      trailer: 'x-sum',
      'content-type': 'text/plain',
      'x-hop-mine': '1',
      connection: 'x-hop-mine',
    })
    c.env.outgoing.addTrailers({ 'x-sum': '42' })
    c.env.outgoing.end('with trailers')
    return new Response(null, { headers: { 'x-hono-already-sent': 'true' } }).clone()
  })
  return app as unknown as Hono
}
