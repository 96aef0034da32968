import { randomInt } from 'node:crypto'
import { createServer } from 'node:net'
import { HOST } from './postmaster.ts'

/** Below the ports that systems give to outgoing connections: one of those could take a server's while it restarts. */
const FIRST = 20_000
const LAST = 32_000

/** The preferred port if nothing listens on it, otherwise one that is free at this moment. */
export async function freePort(preferred?: number): Promise<number> {
  let port = preferred ?? randomInt(FIRST, LAST)
  while (!(await isFree(port))) port = randomInt(FIRST, LAST)
  return port
}

async function isFree(port: number): Promise<boolean> {
  const { promise, resolve } = Promise.withResolvers<boolean>()
  const server = createServer()
  // In use, or below 1024 and not allowed: in both cases another one has to do.
  server.once('error', () => resolve(false))
  server.listen(port, HOST, () => server.close(() => resolve(true)))
  return promise
}
