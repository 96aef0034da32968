import { randomUUID } from 'node:crypto'
import { hostname } from 'node:os'
import { openLink } from '../pg/link.ts'
import type { PostgresServer } from '../pg/server.ts'
import { NO_OBSERVER, type TiersObserver } from '../telemetry.ts'
import type { TenantId } from '../types.ts'

/** How a gateway had to do with a tenant's requests. */
export type Served = 'home' | 'forwarded'

/**
 * What a gateway writes down of itself in the control database: that it is there, and whom it served. It is believed: the
 * gateways of all regions log in there as one role, so one that lies about its
 * region, or writes by another's id where it has come to know it, is not found out by the database.
 */
export interface Attendance {
  readonly id: string
  /** Costs one look into a set; what is new is written in the background. */
  served(tenant: TenantId, how: Served): void
  /** Writes what there is to write. Never fails: what could not be written is kept for the next time. */
  flush(): Promise<void>
  close(): Promise<void>
}

export interface AttendanceOptions {
  /** The control database, as gateways reach it. */
  readonly server: PostgresServer
  readonly region: string
  readonly version: string
  readonly observer?: TiersObserver
  readonly everyMs?: number
  /** What one writing may take. */
  readonly answerMs?: number
}

const EVERY_MS = 30_000
const ANSWER_MS = 10_000
/** How exact the last time is. */
const HOUR_MS = 3_600_000
/** In one statement. */
const BATCH = 5_000

/** Nothing waits for it, and without the control database it waits: no request depends on being written down. */
export function openAttendance(options: AttendanceOptions): Attendance {
  const { server, region, version, observer = NO_OBSERVER, everyMs = EVERY_MS, answerMs = ANSWER_MS } = options
  const id = randomUUID()
  const link = openLink(server, {
    applicationName: 'innkeeper-attendance',
    max: 1,
    connectTimeoutMs: 2_000,
  })
  const { sql } = link
  const known = { home: new Set<TenantId>(), forwarded: new Set<TenantId>() }
  const unwritten = { home: new Set<TenantId>(), forwarded: new Set<TenantId>() }
  let forgetAt = Date.now() + HOUR_MS
  let writing: Promise<void> | null = null

  const write = async (hasStopped: boolean) => {
    try {
      await sql`select gateway_seen(${id}, ${region}, ${hostname()}, ${version}, ${hasStopped})`
      for (const how of ['home', 'forwarded'] as const) {
        while (unwritten[how].size > 0) {
          const batch = [...unwritten[how]].slice(0, BATCH)
          await sql`select gateway_served(${id}, ${batch}::text[], ${how})`
          for (const tenant of batch) unwritten[how].delete(tenant)
        }
      }
      observer.count('gateway.attendance', 1, { ok: true })
    } catch {
      observer.count('gateway.attendance', 1, { ok: false })
    }
    if (Date.now() < forgetAt) return
    forgetAt = Date.now() + HOUR_MS
    for (const set of Object.values(known)) set.clear()
  }
  const flush = () => {
    if (writing !== null) return writing
    // A connection that nobody answers on any more would be waited for as long as TCP does.
    const late = setTimeout(() => link.renew(), answerMs).unref()
    writing = write(false).finally(() => {
      clearTimeout(late)
      writing = null
    })
    return writing
  }
  const timer = setInterval(flush, everyMs)
  timer.unref()
  void flush()
  return {
    id,
    served(tenant, how) {
      if (known[how].has(tenant)) return
      known[how].add(tenant)
      unwritten[how].add(tenant)
    },
    flush,
    async close() {
      clearInterval(timer)
      const last = (writing ?? Promise.resolve()).then(() => write(true))
      await Promise.race([last, new Promise((resolve) => setTimeout(resolve, 1_000))])
      await link.close(0)
    },
  }
}
