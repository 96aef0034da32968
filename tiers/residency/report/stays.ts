import type { Move } from '../../move/types.ts'
import type { BackupPlace, GatewayStay, KeyPlace, MoveLine, Outside, RoomStay } from './document.ts'

/** A row of the directory's history. */
export interface HomeRow {
  readonly region: string
  readonly cluster: string
  readonly database: string
  readonly schema: string
  readonly isolation: string
  readonly from: Date
  readonly until: Date | null
  readonly isReconstructed: boolean
}

/** Homes from the history; and what moves filled beside them, or left behind, until it was emptied. */
export function staysOf(homes: readonly HomeRow[], moves: readonly Move[]): RoomStay[] {
  const stays: RoomStay[] = homes.map(({ from, until, isReconstructed, ...room }) => ({
    ...room,
    as: 'home',
    from: from.toISOString(),
    until: until?.toISOString() ?? null,
    known: isReconstructed ? 'reconstructed' : 'history',
  }))
  for (const move of moves.filter(isOfRooms)) {
    const flipped = flippedAt(move)
    const ended = move.endedAt?.toISOString() ?? null
    const copy = roomOf(move.to)
    stays.push({ ...copy, as: 'copy', from: move.createdAt.toISOString(), until: flipped ?? ended, known: 'move' })
    if (flipped === null) continue
    // After a rollback it is the other room that was left; from when on is in the history.
    const wasLeft = move.state === 'rolled_back' || move.state === 'clearing' ? move.to : move.from
    const back = wasLeft === move.to ? leftAgain(homes, move) : flipped
    stays.push({ ...roomOf(wasLeft), as: 'left', from: back, until: ended, known: 'move' })
    if (wasLeft === move.to) stays.push({ ...roomOf(move.from), as: 'left', from: flipped, until: back, known: 'move' })
  }
  return stays.sort((a, b) => a.from.localeCompare(b.from) || a.as.localeCompare(b.as))
}

export function moveLine(move: Move): MoveLine {
  const text = ({ region, tier, placement: p }: Move['from']) =>
    `${region}/${p.cluster}/${p.database}/${p.schema} (${tier})`
  return {
    move: move.id,
    from: text(move.from),
    to: text(move.to),
    state: move.state,
    asked: move.createdAt.toISOString(),
    flipped: flippedAt(move),
    ended: move.endedAt?.toISOString() ?? null,
  }
}

/** A change of limits has no room but the one the tenant is in. */
function isOfRooms({ from, to }: Move): boolean {
  return from.placement.epoch !== to.placement.epoch
}

function flippedAt({ certificate }: Move): string | null {
  return certificate?.flippedAt ? new Date(certificate.flippedAt).toISOString() : null
}

function leftAgain(homes: readonly HomeRow[], { to, endedAt, createdAt }: Move): string {
  const stay = homes.find(
    (h) =>
      h.cluster === to.placement.cluster &&
      h.database === to.placement.database &&
      h.schema === to.placement.schema &&
      h.from >= createdAt,
  )
  return (stay?.until ?? endedAt ?? new Date()).toISOString()
}

function roomOf({ region, placement: { cluster, database, schema, isolation } }: Move['from']) {
  return { region, cluster, database, schema, isolation }
}

/** What is, or was, in a region that the tenant is not kept to. */
export function outsideOf(
  regions: ReadonlySet<string>,
  transit: boolean,
  places: {
    readonly rooms: readonly RoomStay[]
    readonly keys: readonly KeyPlace[]
    readonly backups: readonly BackupPlace[]
    readonly gateways: readonly GatewayStay[]
  },
): Outside[] {
  const isOut = ({ region }: { readonly region: string }) => !regions.has(region)
  return [
    ...places.rooms.filter(isOut).map((r) => ({
      what: `rows in ${r.cluster}/${r.database}/${r.schema} (${r.as})`,
      region: r.region,
      from: r.from,
      until: r.until,
    })),
    ...places.keys
      .filter(isOut)
      .map((k) => ({ what: `${k.what} in ${k.where}`, region: k.region, from: null, until: null })),
    ...places.backups
      .filter(isOut)
      .map((b) => ({ what: `backups of ${b.of}`, region: b.region, from: null, until: null })),
    ...places.gateways
      .filter((g) => isOut(g) && !(transit && g.how === 'forwarded'))
      .map((g) => ({
        what: `${g.how === 'home' ? 'requests served' : 'requests forwarded'} by gateway ${g.gateway} on ${g.host}`,
        region: g.region,
        from: g.from,
        until: g.until,
      })),
  ]
}
