import { execFile } from 'node:child_process'
import { createRequire } from 'node:module'
import { promisify } from 'node:util'

const AUTOCANNON = createRequire(import.meta.url).resolve('autocannon/autocannon.js')
const run = promisify(execFile)

export interface Load {
  readonly perSecond: number
  readonly p99Ms: number
}

export interface LoadOptions {
  /** The API key that is sent; null for none. */
  readonly key: string | null
  readonly seconds: number
  readonly connections: number
}

/** Loads a URL from a process of its own. @throws Error where an answer was not a 2xx */
export async function autocannon(url: string, { key, seconds, connections }: LoadOptions): Promise<Load> {
  const headers = key === null ? [] : ['-H', `apikey=${key}`]
  const args = [AUTOCANNON, '--json', '-c', String(connections), '-d', String(Math.max(1, seconds)), ...headers, url]
  const { stdout } = await run(process.execPath, args)
  const result = JSON.parse(stdout)
  if (result.non2xx > 0 || result.errors > 0) {
    throw new Error(`${url}: ${result.non2xx} refusals and ${result.errors} errors`)
  }
  return { perSecond: result.requests.average, p99Ms: result.latency.p99 }
}
