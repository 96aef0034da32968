import type postgres from 'postgres'
import { isInnkeeperError } from '../errors.ts'
import type { TenantId } from '../types.ts'
import { type Anchor, type ChainFault, follow, type Link, NO_LINK } from './chain.ts'
import { type AuditEntry, append } from './entry.ts'

export interface AuditFilter {
  readonly tenantId?: TenantId | undefined
  readonly actor?: string | undefined
  readonly action?: string | undefined
  /** Entries before this one. */
  readonly before?: number | undefined
  readonly limit: number
}

/** An entry as it is read. */
export interface AuditRecord {
  readonly seq: number
  readonly at: string
  readonly hash: string
  readonly action: string
  readonly actor: string
  readonly role: string
  readonly reason: string | null
  readonly requestId: string | null
  readonly tenantId: string | null
  readonly tenant: string | null
  readonly outcome: string
  readonly before: unknown
  readonly after: unknown
  readonly details: unknown
}

export interface AuditProof {
  readonly entries: number
  /** To be written down elsewhere: given back later as an anchor it shows that nothing before it is gone. */
  readonly head: Anchor
  /** The first of them; empty where the chain is whole. */
  readonly faults: readonly ChainFault[]
}

/** What was done to tenants and to the control plane, by whom, and why. */
export interface AuditLog {
  append(entry: AuditEntry): Promise<void>
  /** Writes that it begins, does it, and writes how it ended: for what is not in the control database. */
  around<T>(entry: AuditEntry, work: () => Promise<T>, after?: (result: T) => unknown): Promise<T>
  /** The newest first. */
  list(filter: AuditFilter): Promise<AuditRecord[]>
  head(): Promise<Anchor>
  /** Computes the whole chain again. */
  verify(anchor?: Anchor): Promise<AuditProof>
}

const PAGE = 1_000
const FAULTS_MAX = 20
const AT = `to_char(at at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"')`

export function auditLog(sql: postgres.Sql): AuditLog {
  const links = async (after: number) =>
    sql<Link[]>`
      select seq::float8 as seq, ${sql.unsafe(AT)} as at, entry::text as entry, previous, hash
      from audit_log where seq > ${after} order by seq limit ${PAGE}`
  return {
    append: (entry) => append(sql, entry),
    async around(entry, work, after = () => undefined) {
      await append(sql, { ...entry, outcome: 'begun' })
      const result = await work().catch(async (error) => {
        const code = isInnkeeperError(error) ? error.code : 'failed'
        await append(sql, { ...entry, outcome: 'failed', after: { code } })
        throw error
      })
      await append(sql, { ...entry, outcome: 'done', after: after(result) })
      return result
    },
    async list({ tenantId, actor, action, before, limit }) {
      const rows = await sql<{ seq: number; at: string; hash: string; entry: string }[]>`
        select seq::float8 as seq, ${sql.unsafe(AT)} as at, hash, entry::text as entry from audit_log
        where true ${tenantId ? sql`and tenant_id = ${tenantId}` : sql``}
          ${actor ? sql`and actor = ${actor}` : sql``} ${action ? sql`and action = ${action}` : sql``}
          ${before ? sql`and seq < ${before}` : sql``}
        order by seq desc limit ${limit}`
      return rows.map(({ entry, ...row }) => ({ ...row, ...(JSON.parse(entry) as Omit<AuditRecord, 'seq'>) }))
    },
    async head() {
      const [last] = await sql<Anchor[]>`select seq::float8 as seq, hash from audit_log order by seq desc limit 1`
      return last === undefined ? NO_LINK : { seq: last.seq, hash: last.hash }
    },
    async verify(anchor) {
      const faults: ChainFault[] = []
      let head = NO_LINK
      let isAnchored = anchor === undefined || (anchor.seq === 0 && anchor.hash === NO_LINK.hash)
      for (;;) {
        const page = await links(head.seq)
        const result = follow(head, page)
        faults.push(...result.faults)
        isAnchored ||= page.some((l) => l.seq === anchor!.seq && l.hash === anchor!.hash)
        head = result.head
        if (page.length < PAGE) break
      }
      if (!isAnchored)
        faults.push({ seq: anchor!.seq, fault: 'is not there any more as it was when it was written down' })
      return { entries: head.seq, head, faults: faults.slice(0, FAULTS_MAX) }
    },
  }
}
