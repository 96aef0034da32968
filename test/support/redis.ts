import { freePort } from '../../gateway/dev/postgres/port.ts'
import { missing, startProgram } from './program.ts'
import { temporaryFolder } from './temporary.ts'

export interface TestRedis {
  readonly url: string
  stop(): Promise<void>
}

/**
 * A Redis for tests: the one that REDIS_URL names, or an empty one of our own.
 *
 * @returns null when there is none to be had: the caller skips
 */
export async function startTestRedis(): Promise<TestRedis | null> {
  if (process.env.REDIS_URL) return { url: process.env.REDIS_URL, stop: async () => {} }
  const [port, folder] = await Promise.all([freePort(), temporaryFolder('redis')])
  const args = ['--bind', '127.0.0.1', '--port', String(port), '--save', '', '--appendonly', 'no', '--dir', folder]
  const redis = await startProgram('redis-server', args, port, folder)
  if (redis === null) return missing('redis-server', 'apt-get install redis-server, or set REDIS_URL')
  return { url: `redis://127.0.0.1:${port}`, stop: redis.stop }
}
