import type postgres from 'postgres'
import { NoAnswer, within } from './within.ts'

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
  /** Gives up all connections: the database, or what is between, has forgotten them without a word. */
  renew(): void
}

export interface Feed {
  /** False while the database does not answer. */
  connected(): boolean
  /** False until the database has been looked at once, whatever came of it. */
  looked(): boolean
  /** Since when it does not answer, in milliseconds; 0 while it does. */
  disconnectedForMs(): number
  seq(): number
  /** The last change that was there when it began: who may have heard of those before is not known. */
  beganAt(): number
  close(): Promise<void>
}

/** Between two renewals of connections on which nothing was ever answered. */
const RENEW_PAUSE_MS = 10_000

/**
 * Follows a table of numbered changes: a notification makes it look at once, and a poll finds what notifications lost.
 */
export function startFeed(options: FeedOptions): Feed {
  const { sql, onChange } = options
  let seq = -1
  let beganAt = 0
  /** Whether the database may be another, or an older one, than the one that was looked at before. */
  let isDoubted = true
  let renewedAt = 0
  /** Looks in a row that nothing answered. One alone is a database that was busy: new connections would only keep it so. */
  let unanswered = 0
  let lostAt = performance.now()
  let connected = false
  let looked = false
  let closed = false
  let looking: Promise<void> | null = null
  let again = false
  let unlisten: (() => Promise<void>) | null = null

  const look = async () => {
    try {
      if (isDoubted) {
        isDoubted = false
        const last = await within(options.last(), options.timeoutMs)
        // Restored from a backup it gives numbers again that were seen before.
        if (seq < 0 || last < seq) {
          seq = beganAt = last
          options.onGap()
        }
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
      unanswered = 0
    } catch (error) {
      // Out of reach: caches go on with what they have and say so; the next poll tries again.
      const now = performance.now()
      unanswered = error instanceof NoAnswer ? unanswered + 1 : 0
      const mayRenew = unanswered === 2 || now - renewedAt > RENEW_PAUSE_MS
      if (connected) lostAt = now
      connected = false
      isDoubted = true
      if (unanswered >= 2 && mayRenew && !closed) {
        renewedAt = now
        options.renew()
        listening = listen()
      }
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
  const listen = () =>
    sql
      .listen(options.channel, onNotice, () => {
        // Called again after each reconnection: between the two, anything may have been said.
        isDoubted = true
        options.onGap()
        run()
      })
      .then(
        (made) => {
          unlisten = made.unlisten
        },
        // Without notifications the poll alone keeps the bound of a second.
        () => {},
      )
  let listening = listen()
  run()
  return {
    connected: () => connected,
    looked: () => looked,
    disconnectedForMs: () => (connected ? 0 : performance.now() - lostAt),
    seq: () => Math.max(0, seq),
    beganAt: () => beganAt,
    async close() {
      closed = true
      clearInterval(timer)
      await Promise.race([listening, new Promise((r) => setTimeout(r, 200))])
      await looking
      if (connected) await within(unlisten?.() ?? Promise.resolve(), 500).catch(() => {})
    },
  }
}
