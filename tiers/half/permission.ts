import type postgres from 'postgres'
import type { Home } from '../move/types.ts'
import { REGION_DATABASE } from '../rooms/naming.ts'
import type { TenantId } from '../types.ts'
import type { HalfRequest } from './requests.ts'

/** A move that has not ended, as the control database has it. */
export interface OpenMove {
  readonly id: string
  readonly tenant: TenantId
  readonly slug: string
  /** Where the tenant lives now. */
  readonly region: string
  readonly from: Home
  readonly to: Home
}

export interface Here {
  readonly region: string
  /** The cluster that holds what is the region's own, its API keys among it. */
  readonly homeCluster: string
}

/** Every server has it: databases are made, removed and looked for from there. */
const MAINTENANCE = 'postgres'

/**
 * The move by which another region's half may have what it asks for. It runs the moves that lead into its region; so of this
 * region's clusters it needs the one that the tenant leaves, and there the database of the room and the maintenance database,
 * and the API keys' store.
 *
 * @returns null where there is none: then it is refused
 */
export function moveThatAllows(
  moves: readonly OpenMove[],
  peer: string,
  here: Here,
  request: HalfRequest,
): OpenMove | null {
  if (request.ask !== 'session' && request.ask !== 'cached') return null
  const isAllowed = ({ id, from, to }: OpenMove) => {
    if (from.region !== here.region || to.region !== peer) return false
    if (request.move !== null && request.move !== id) return false
    if (request.ask === 'cached') return true
    const { cluster, database } = request
    const isRoom = cluster === from.placement.cluster && [from.placement.database, MAINTENANCE].includes(database)
    return isRoom || (cluster === here.homeCluster && database === REGION_DATABASE)
  }
  return moves.find(isAllowed) ?? null
}

/** Those that leave the region. */
export async function openMovesFrom(sql: postgres.Sql, region: string): Promise<OpenMove[]> {
  return sql<OpenMove[]>`
    select m.id, m.tenant_id as tenant, t.slug, t.region, m.origin as "from", m.destination as "to"
    from moves m join tenants t on t.id = m.tenant_id
    where m.ended_at is null and m.origin ->> 'region' = ${region} and m.destination ->> 'region' <> ${region}`
}
