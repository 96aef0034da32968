import { expect } from 'vitest'
import type { ClusterPool } from '../../tiers/pg/cluster-pool.ts'
import { standardParsers } from '../../tiers/pg/values.ts'
import { one } from '../support/replicated.ts'

/** Runs one statement on a lease of its own. @returns the first value of its first row */
export async function run(pool: ClusterPool, text: string, params: unknown[] = []): Promise<unknown> {
  const lease = await pool.lease({ database: 'postgres', tenant: 'a', share: 6 })
  try {
    const step = { text, params, prepared: false, rows: 'array' as const, parsers: standardParsers }
    const { results, error } = await lease.connection.run([step])
    if (error !== null) throw error
    return (results[0]!.rows[0] as unknown[] | undefined)?.[0]
  } finally {
    lease.release()
  }
}

export const portOf = (pool: ClusterPool) => run(pool, 'select inet_server_port()')

export interface Writers {
  readonly acknowledged: ReadonlySet<string>
  /** Those that failed: they may have been written or not. */
  readonly unclear: ReadonlySet<string>
  stop(): Promise<void>
}

/** Writes into `noted (id text)` without a pause until told to stop. */
export function startWriters(pool: ClusterPool, writers = 3): Writers {
  const acknowledged = new Set<string>()
  const unclear = new Set<string>()
  let running = true
  const all = Array.from({ length: writers }, async (_, w) => {
    for (let n = 0; running; n++) {
      const id = `${w}-${n}`
      await run(pool, 'insert into noted values ($1)', [id]).then(
        () => acknowledged.add(id),
        () => unclear.add(id),
      )
    }
  })
  return {
    acknowledged,
    unclear,
    async stop() {
      running = false
      await Promise.all(all)
    },
  }
}

/** @param url of the server that has to have them */
export async function expectNothingLost(writers: Writers, url: string): Promise<void> {
  const there = (await one(url, `select coalesce(json_agg(id), '[]') from noted`)) as string[]
  const found = new Set(there)
  expect([...writers.acknowledged].filter((id) => !found.has(id))).toEqual([])
  expect(found.size, 'nothing was written twice').toBe(there.length)
}
