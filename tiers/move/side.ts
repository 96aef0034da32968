import type { ClusterConfig } from '../../config/index.ts'
import { createPrimary } from '../pg/primary.ts'
import { adminServerOf } from '../pg/server.ts'
import { quoteIdent } from '../quote.ts'
import { MOVER } from '../tenancy/roles.ts'
import type { Placement, TenantId } from '../types.ts'
import { type MoverClient, openMoverClient, PRIMARY_WAIT_MS } from './mover-client.ts'

/** One end of a move: a room, and the mover's connections to its database. */
export interface Side {
  readonly placement: Placement
  readonly cluster: ClusterConfig
  readonly move: string
  readonly tenant: TenantId
  readonly generation: number
  /** The room's table, quoted. */
  table(name: string): string
  /** The connection for all that is done one after the other. Opened when it is first asked for. */
  client(): Promise<MoverClient>
  /** Another connection, for work side by side; the side closes it at the latest. */
  another(): Promise<MoverClient>
  /** Ends its connections at once: what runs on them fails, and whoever asks again gets new ones. */
  cut(): void
  /** Whether the admin role may silence triggers and foreign keys, which superusers may and managed servers seldom allow. */
  maySilence(): Promise<boolean>
  close(): Promise<void>
}

export interface SideOptions {
  readonly placement: Placement
  readonly cluster: ClusterConfig
  readonly move: string
  readonly tenant: TenantId
  readonly generation: number
  /** How long connecting may take, in milliseconds. */
  readonly connectMs?: number
}

const noop = () => {}

/** What every connection of a move's is called, so that a takeover knows them. */
export function applicationNameOf(move: string, generation: number): string {
  return `innkeeper-move-${move}-${generation}`
}

export function openSide({ placement, cluster, move, tenant, generation, connectMs }: SideOptions): Side {
  const open = new Set<Promise<MoverClient>>()
  let first: Promise<MoverClient> | null = null
  const server = adminServerOf(cluster)
  const primary = createPrimary({
    server,
    waitMs: PRIMARY_WAIT_MS,
    // What runs on the one before would wait for a server that is gone. The attempt fails, and the next one goes to this.
    onChange: () => cut(),
  })
  let connecting = new AbortController()
  const cut = () => {
    connecting.abort()
    connecting = new AbortController()
    for (const opening of open) opening.then((client) => client.cut(), noop)
  }
  let silence: Promise<boolean> | null = null
  const another = () => {
    const opening = openMoverClient({
      ...server,
      primary,
      database: placement.database,
      applicationName: applicationNameOf(move, generation),
      signal: () => connecting.signal,
      ...(connectMs === undefined ? {} : { connectMs }),
    })
    open.add(opening)
    return opening
  }
  const client = () => {
    first ??= another()
    return first
  }
  return {
    placement,
    cluster,
    move,
    tenant,
    generation,
    another,
    cut,
    table: (name) => `${quoteIdent(placement.schema)}.${quoteIdent(name)}`,
    client,
    maySilence() {
      silence ??= client().then(async (c) => (await c.query<{ may: boolean }>(`select ${MAY_SILENCE} as may`))[0]!.may)
      return silence
    },
    async close() {
      primary.close()
      first = null
      silence = null
      connecting.abort()
      for (const opening of open) {
        open.delete(opening)
        await opening.then(
          (client) => client.close(),
          () => {},
        )
      }
    },
  }
}

export const MAY_SILENCE = `has_parameter_privilege(current_user, 'session_replication_role', 'SET')`

/** Makes a transaction this mover's and no other's: it fails with IK040 once another one has taken over. */
export function joinMove(side: Side): string {
  return `select tenancy.join_move('${side.move}', ${side.generation})`
}

function joined(side: Side, isolation: string): string {
  return `begin isolation level ${isolation}; ${joinMove(side)};`
}

/** A snapshot of the tenant's rows: read with the rights of the role that sees no other tenant's. */
export function beginRead(side: Side): string {
  return `${joined(side, 'repeatable read')} set local role ${MOVER};
    set local enable_hashjoin = off; set local enable_mergejoin = off; set local enable_seqscan = off`
}

/**
 * For writing the tenant's rows. Foreign keys, their cascades and the application's triggers have had their say at the
 * source, so they are silent here where the role may silence them; the capture triggers, being ENABLE ALWAYS, are not.
 */
export function beginWrite(side: Side): string {
  return `${joined(side, 'read committed')}
    select case when ${MAY_SILENCE} then set_config('session_replication_role', 'replica', true) end;
    set local enable_hashjoin = off; set local enable_mergejoin = off; set local enable_seqscan = off`
}

/** For the mover's own books: the fence, the notes, the sequences. */
export function beginBooks(side: Side): string {
  return joined(side, 'read committed')
}

export const AS_MOVER = `set local role ${MOVER}`
