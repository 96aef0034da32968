import { type Context, Hono } from 'hono'
import { routePath } from 'hono/route'
import { RestError } from './errors.ts'
import { readTable } from './read.ts'
import { respondError } from './respond.ts'
import type { RestRoom } from './room.ts'
import { rootHandler } from './root.ts'
import { fromDatabaseError, isDatabaseError } from './sqlstate.ts'
import { putRow } from './write/put.ts'
import { deleteRows, insertRows, updateRows } from './write/rows.ts'

export type { RestRoom } from './room.ts'

/**
 * The data API: every table of the tenant's room in PostgREST's dialect. To be mounted at `/rest/v1`.
 *
 * @param roomOf the room of the tenant that a request belongs to; called once per request
 * @returns an app that answers failures of the dialect itself; an InnkeeperError, and trouble of the server's own, is
 *   thrown on to the app that it is mounted in
 */
export function restApi(roomOf: (c: Context) => RestRoom): Hono {
  const app = new Hono<RoomEnv>()
  const inRoom = (work: (c: Context<RoomEnv>, room: RestRoom) => Promise<Response>) => (c: Context<RoomEnv>) => {
    const room = roomOf(c)
    c.set('restRoom', room)
    return work(c, room)
  }
  const describeApi = inRoom(rootHandler())
  app.get('/', describeApi)
  app.all('/rpc/:name', (c) => {
    throw new RestError(404, 'PGRST202', `Could not find the function ${c.req.param('name')} in the schema cache`)
  })
  app.get('/:table', inRoom(readTable))
  app.post('/:table', inRoom(insertRows))
  app.patch('/:table', inRoom(updateRows))
  app.put('/:table', inRoom(putRow))
  app.delete('/:table', inRoom(deleteRows))
  app.options('/:table', (c) => c.body(null, 200, { allow: METHODS }))
  app.all('/:table', (c) => {
    throw new RestError(405, 'PGRST117', `Unsupported HTTP method: ${c.req.method}`)
  })
  // The root with a slash at its end, which is how clients ask for it; nothing lies deeper than a table.
  app.all('/*', (c) => {
    const isRoot = c.req.path === routePath(c).slice(0, -1)
    if (isRoot && (c.req.method === 'GET' || c.req.method === 'HEAD')) return describeApi(c)
    throw new RestError(404, 'PGRST125', 'Invalid path specified in request URL')
  })
  app.onError(async function answerFailure(error, c) {
    if (error instanceof RestError) return respondError(c, error)
    const room = c.get('restRoom')
    if (room === undefined || !isDatabaseError(error)) throw error
    const known = fromDatabaseError(error, await room.catalogue())
    if (known === null) throw error
    return respondError(c, known)
  })
  return app as unknown as Hono
}

interface RoomEnv {
  Variables: { restRoom?: RestRoom }
}

const METHODS = 'OPTIONS,GET,HEAD,POST,PUT,PATCH,DELETE'
