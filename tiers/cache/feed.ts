import type postgres from 'postgres'
import { within } from './within.ts'

/** One entry of a table of changes: its number, and the names under which caches may hold what it changed. */
export interface Change {
  readonly seq: number
  readonly keys: readonly string[]
}

export interface FeedOptions {
  readonly sql: postgres.Sql
  /** NOTIFY on it means: look now. The notification itself is never taken for the change. */
  readonly channel: string
  readonly pollMs: number
  /** How long one look may take before the database counts as out of reach. */
  readonly timeoutMs: number
  last(): Promise<number>
  /** The changes after a number, in order, at most a thousand. */
  since(seq: number): Promise<Change[]>
  onChange(change: Change): void
  /** Something has been said, nobody knows what yet. For whoever would rather ask at once than hear it a round trip later. */
  onNotice?(): void
  /** After a time in which changes may have been missed: nothing that was cached before may count as fresh. */
  onGap(): void
}

export interface Feed {
  /** False while the database does not answer. */
  connected(): boolean
  /** False until the database has been looked at once, whatever came of it. */
  looked(): boolean
  /** Since when it does not answer, in milliseconds; 0 while it does. */
  disconnectedForMs(): number
  seq(): number
  close(): Promise<void>
}

/**
 * Follows a table of numbered changes: a notification makes it look at once, and a poll finds what notifications lost.
 */
export function startFeed(options: FeedOptions): Feed {
  const { sql, onChange } = options
  let seq = -1
  let lostAt = performance.now()
  let connected = false
  let looked = false
  let closed = false
  let looking: Promise<void> | null = null
  let again = false
  let unlisten: (() => Promise<void>) | null = null

  const look = async () => {
    try {
      if (seq < 0) {
        seq = await within(options.last(), options.timeoutMs)
        options.onGap()
      }
      for (;;) {
        const changes = await within(options.since(seq), options.timeoutMs)
        for (const change of changes) {
          onChange(change)
          seq = change.seq
        }
        if (changes.length < 1_000) break
      }
      connected = true
    } catch {
      // Out of reach: caches go on with what they have and say so; the next poll tries again.
      if (connected) lostAt = performance.now()
      connected = false
    }
    looked = true
  }
  const run = () => {
    if (closed) return
    if (looking !== null) {
      again = true
      return
    }
    looking = look().finally(() => {
      looking = null
      if (again) {
        again = false
        run()
      }
    })
  }
  const onNotice = () => {
    run()
    if (!closed) options.onNotice?.()
  }
  const timer = setInterval(run, options.pollMs)
  timer.unref()
  const listening = sql
    .listen(options.channel, onNotice, () => {
      // Called again after each reconnection: between the two, anything may have been said.
      options.onGap()
      run()
    })
    .then(
      (listen) => {
        unlisten = listen.unlisten
      },
      // Without notifications the poll alone keeps the bound of a second.
      () => {},
    )
  run()
  return {
    connected: () => connected,
    looked: () => looked,
    disconnectedForMs: () => (connected ? 0 : performance.now() - lostAt),
    seq: () => Math.max(0, seq),
    async close() {
      closed = true
      clearInterval(timer)
      await Promise.race([listening, new Promise((r) => setTimeout(r, 200))])
      await looking
      if (connected) await within(unlisten?.() ?? Promise.resolve(), 500).catch(() => {})
    },
  }
}
