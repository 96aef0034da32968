import { execFile } from 'node:child_process'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import pg from 'pg'
import { findPostgresBinaries } from '../../gateway/dev/postgres/binaries.ts'
import { removeLocalPostgres } from '../../gateway/dev/postgres/remove.ts'
import { startLocalPostgres } from '../../gateway/dev/postgres/server.ts'
import type { LocalPostgres } from '../../gateway/dev/postgres/types.ts'
import { whenWeDie } from './guard.ts'
import { CLEAR, PACKAGES, type PostgresVersion, SETTINGS, type TestPostgres } from './postgres.ts'
import { seedFromTemplate } from './template.ts'
import { temporaryFolder } from './temporary.ts'
import { waitUntil } from './wait.ts'

/** A primary, and a replica that has every acknowledged commit: the primary waits for it. */
export interface ReplicatedPostgres extends TestPostgres {
  /** Its URLs name both hosts, the primary first; everything else of it is the primary's. */
  readonly server: LocalPostgres
  readonly primary: LocalPostgres
  readonly replica: LocalPostgres
  /** Makes the replica a primary, and waits until it says so. */
  promote(): Promise<void>
}

const REPLICATING = { synchronous_commit: 'on', wal_retrieve_retry_interval: '200ms', wal_receiver_timeout: '5s' }

/**
 * Two servers with streaming replication. The npm package brings no pg_basebackup: both begin as a cold copy of the same
 * data folder, which is what a base backup of a server that has never been started is.
 */
export async function startReplicatedPostgres(
  options: { version?: PostgresVersion; settings?: Record<string, string | number> } = {},
): Promise<ReplicatedPostgres> {
  const { version = 18, settings } = options
  const binaries = findPostgresBinaries(PACKAGES[version])
  const folders: string[] = []
  const callOffs: (() => void)[] = []
  const stop = async () => {
    for (const folder of folders.reverse()) await removeLocalPostgres(folder)
    for (const callOff of callOffs) callOff()
  }
  const start = async (name: string, own: Record<string, string | number>, prepare = async (_data: string) => {}) => {
    const dataDir = await temporaryFolder(name)
    const place = await seedFromTemplate(dataDir, binaries)
    folders.push(dataDir)
    callOffs.push(whenWeDie(CLEAR, place.data, dataDir))
    await prepare(place.data)
    if (place.account !== null) await promisify(execFile)('chown', ['-R', `${place.account.uid}`, place.data])
    return startLocalPostgres({
      name,
      dataDir,
      binaries,
      settings: { ...SETTINGS, ...REPLICATING, ...settings, ...own },
    })
  }
  try {
    const primary = await start('primary', { synchronous_standby_names: 'replica' })
    const from = `host=${primary.host} port=${primary.port} user=postgres password=${primary.password}`
    const asReplica = { primary_conninfo: `${from} application_name=replica` }
    const replica = await start('replica', asReplica, (data) => writeFile(join(data, 'standby.signal'), ''))
    const onPrimary = (text: string) => one(primary.url(), text)
    await waitUntil('the replica to be in step', async () => {
      return (await onPrimary(`select count(*)::int from pg_stat_replication where sync_state = 'sync'`)) === 1
    })
    const both = `${primary.host}:${primary.port},${replica.host}:${replica.port}`
    const url: LocalPostgres['url'] = (...args) =>
      primary.url(...args).replace(`@${primary.host}:${primary.port}/`, `@${both}/`)
    return {
      server: { ...primary, url },
      primary,
      replica,
      async promote() {
        await one(replica.url(), 'select pg_promote(true, 60)')
      },
      stop,
    }
  } catch (error) {
    await stop()
    throw error
  }
}

/** The first value of the first row. */
export async function one(url: string, text: string): Promise<unknown> {
  const client = new pg.Client({ connectionString: url })
  client.on('error', () => {})
  await client.connect()
  try {
    const { rows } = await client.query({ text, rowMode: 'array' })
    return rows[0]?.[0]
  } finally {
    await client.end()
  }
}
