import type { ResidencyReport } from '../../tiers/residency/report/document.ts'
import { pairs, table } from './table.ts'
import type { Terminal } from './terminal.ts'

/** A report as a person reads it. */
export function residencyText(terminal: Terminal, report: ResidencyReport): string {
  const { tenant, keptTo, rooms, tables, keys, caches, backups, gateways, moves, changes, scan, outside } = report
  const section = (title: string, head: readonly string[], rows: readonly (readonly (string | number | null)[])[]) =>
    `\n${terminal.paint('bold', title)}\n${rows.length === 0 ? 'none' : table(terminal, head, rows)}`
  const looked = scan.looked.map((l) => `${l.cluster}: ${l.databases} databases, ${l.tables} tables`).join('; ')
  return [
    pairs(terminal, {
      tenant: `${tenant.slug} (${tenant.id}), ${tenant.status}`,
      home: `${tenant.region}, tier ${tenant.tier}`,
      'kept to': keptText(keptTo),
      issued: report.issuedAt,
      'control plane': report.controlPlane.region ?? 'where it stands is not stated',
      'audit log': report.auditHead,
    }),
    section(
      'Where its rows are and were',
      ['region', 'room', 'as', 'from', 'until'],
      rooms.map((r) => [r.region, `${r.cluster}/${r.database}/${r.schema}`, r.as, r.from, r.until ?? 'now']),
    ),
    `tables now: ${tables.join(', ') || 'none'}`,
    section(
      'Keys',
      ['region', 'where', 'what'],
      keys.map((k) => [k.region, k.where, k.what]),
    ),
    section(
      'Caches',
      ['region', 'where', 'what they hold'],
      caches.map((c) => [c.region, c.where, c.holds]),
    ),
    section(
      'Backups, as the operator states them',
      ['of', 'region', 'kept for'],
      backups.map((b) => [b.of, b.region, `${b.retentionDays} days`]),
    ),
    section(
      'Gateways that served it, as they say themselves',
      ['region', 'host', 'gateway', 'how', 'first', 'last'],
      gateways.map((g) => [g.region, g.host, g.gateway, g.how, g.from, g.until]),
    ),
    section(
      'Moves',
      ['asked', 'from', 'to', 'state', 'ended'],
      moves.map((m) => [m.asked, m.from, m.to, m.state, m.ended]),
    ),
    section(
      'Who changed what it is kept to',
      ['at', 'who', 'role', 'to', 'why'],
      changes.map((c) => [c.at, c.actor, c.role, toText(c.after), c.reason]),
    ),
    section(
      `Looked for everywhere, ${scan.at} (${looked})`,
      ['region', 'cluster', 'database', 'what'],
      [
        ...scan.found.map((f) => [f.region, f.cluster, f.database, `${f.what} of this tenant`]),
        ...scan.unclaimed.map((f) => [f.region, f.cluster, f.database, unclaimed(f)]),
        ...scan.unread.map((f) => [f.region, f.cluster, f.database, `${f.what} hides its rows: not looked at`]),
      ],
    ),
    section(
      'Outside of what it is kept to',
      ['region', 'what', 'from', 'until'],
      outside.map((o) => [o.region, o.what, o.from, o.until ?? 'now']),
    ),
  ].join('\n')
}

function keptText({
  profile,
  pinned,
  regions,
  transit,
  encryption,
  retentionDays,
  since,
}: ResidencyReport['keptTo']): string {
  if (regions === null) return 'nothing: it may be anywhere'
  return [
    `${regions.join(', ') || 'no region'} only`,
    profile === null ? null : `profile ${profile}`,
    pinned === null ? null : `pinned to ${pinned.join(', ')}`,
    transit ? 'requests may pass through other regions' : 'no request passes through another region',
    encryption === 'required' ? 'encrypted' : null,
    retentionDays === null ? null : `backups for ${retentionDays} days at the most`,
    since === null ? null : `since ${since}`,
  ]
    .filter((part) => part !== null)
    .join('; ')
}

function toText(after: unknown): string {
  const { profile, pinned } = (after ?? {}) as { profile?: string | null; pinned?: string[] | null }
  return `profile ${profile ?? 'none'}, pinned ${pinned?.join(',') ?? 'no'}`
}

/** Said of the thing itself: in the report of a tenant it must not read as if it were that tenant's. */
function unclaimed({ kind, what }: ResidencyReport['scan']['unclaimed'][number]): string {
  return kind === 'role' ? `${what}; it is no role of Innkeeper's` : `${what}; the directory knows of no tenant in it`
}
