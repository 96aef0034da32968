import type { Socket } from 'node:net'
import pg from 'pg'
import type { HostAnswer } from './hosts.ts'
import { type LinkTls, sslFor } from './server.ts'

/** Asks one host what it is, over a connection that it keeps. */
export interface HostProbe {
  /** Never rejects: who does not answer in time is silent. Asked while it asks, it gives the same answer. */
  ask(): Promise<HostAnswer>
  close(): void
}

const ANSWER_MS = 1_000
/** On a replica there is no current WAL position to ask for. The first eight digits of a segment's name are its timeline. */
const QUESTION = `select pg_is_in_recovery() as replica, current_setting('transaction_read_only') = 'on' as readonly,
  case when not pg_is_in_recovery() then left(pg_walfile_name(pg_current_wal_lsn()), 8) end as timeline`

/** @param url of this host alone */
export function hostProbe(url: string, tls: LinkTls): HostProbe {
  let client: pg.Client | null = null
  let asking: Promise<HostAnswer> | null = null

  const drop = () => {
    const stream = (client as unknown as { connection: { stream: Socket } } | null)?.connection.stream
    client = null
    stream?.destroy()
  }
  const connected = async () => {
    if (client !== null) return client
    const mine = new pg.Client({
      connectionString: url,
      connectionTimeoutMillis: ANSWER_MS,
      query_timeout: ANSWER_MS,
      application_name: 'innkeeper-watch',
      ssl: sslFor(tls),
    })
    client = mine
    // The next question finds out.
    mine.on('error', () => {
      if (client === mine) drop()
    })
    await mine.connect()
    return mine
  }
  const ask = async (): Promise<HostAnswer> => {
    try {
      const { rows } = await (await connected()).query(QUESTION)
      const { replica, readonly, timeline } = rows[0] as { replica: boolean; readonly: boolean; timeline: string }
      if (replica) return { kind: 'replica' }
      return { kind: 'primary', timeline: Number.parseInt(timeline, 16), isReadOnly: readonly }
    } catch (error) {
      drop()
      return { kind: 'silent', error: error as Error }
    }
  }
  return {
    ask() {
      asking ??= ask().finally(() => {
        asking = null
      })
      return asking
    },
    close: drop,
  }
}
