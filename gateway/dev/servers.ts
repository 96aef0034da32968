import { join } from 'node:path'
import type { ParsedConfig } from '../../config/shape.ts'
import { startLocalPostgres } from './postgres/server.ts'
import type { LocalPostgres } from './postgres/types.ts'
import type { Progress } from './progress.ts'

/** The servers of a local system: one for the control database, and one for each cluster. */
export function serverNames(config: ParsedConfig): string[] {
  return ['control', ...Object.values(config.regions).flatMap((r) => Object.keys(r.clusters))]
}

/** The folder of one server's data. */
export function dataOf(state: string, name: string): string {
  return join(state, 'postgres', name)
}

/** Starts them side by side; when one fails, those that did start are stopped again. */
export async function startServers(
  state: string,
  names: readonly string[],
  progress: Progress,
): Promise<Map<string, LocalPostgres>> {
  progress.step(`starting ${names.length} PostgreSQL servers`)
  const started = await Promise.allSettled(
    names.map((name) =>
      startLocalPostgres({
        name,
        dataDir: dataOf(state, name),
        settings: { max_connections: 200 },
        onProgress: (text) => progress.step(`PostgreSQL ${text}`),
      }),
    ),
  )
  const servers = started.flatMap((s) => (s.status === 'fulfilled' ? [s.value] : []))
  const failed = started.find((s) => s.status === 'rejected')
  if (failed !== undefined) {
    await Promise.allSettled(servers.map((s) => s.stop()))
    throw failed.reason
  }
  return new Map(servers.map((s) => [s.name, s]))
}
