import type { AdminSql } from '../pg/admin.ts'
import { quoteIdent } from '../quote.ts'
import { type Login, makeLogin } from './login.ts'

/** By which a region's half of the mover logs in to the control database. */
export interface MoverLogin extends Login {
  readonly region: string
}

/** What it reads: where tenants live and what is moved. */
const READ = ['tenants', 'placements', 'domains', 'moves', 'incarnation', 'epochs'] as const

/** What it may change; of which rows, and to what, is decided by `mover_may()`. It makes and removes none. */
const CHANGE = {
  moves: [
    ...['state', 'generation', 'lease_owner', 'lease_until', 'request', 'progress', 'reason', 'attempts', 'pause_ms'],
    ...['watch_until', 'certificate', 'signed_certificate', 'origin', 'destination', 'updated_at', 'ended_at'],
  ],
  tenants: ['tier', 'region', 'epoch_last'],
  placements: ['cluster', 'database', 'schema', 'isolation', 'epoch'],
} as const

/** Makes the roles of the regions' movers. One whose region has none any more is shut out. Idempotent. */
export async function grantMovers(tx: AdminSql, movers: readonly MoverLogin[]): Promise<void> {
  const users = movers.map((m) => m.user)
  const gone = await tx<{ role: string; isThere: boolean }[]>`
    delete from mover_roles where role <> all (${users})
    returning role, exists (select from pg_roles where rolname = role) as "isThere"`
  // After a restore on another server it may be none of that server's.
  for (const { role } of gone.filter((r) => r.isThere)) await tx.unsafe(`alter role ${quoteIdent(role)} nologin`)
  for (const mover of movers) {
    const role = await makeLogin(tx, mover)
    await tx`insert into mover_roles (role, region) values (${mover.user}, ${mover.region})
      on conflict (role) do update set region = excluded.region`
    for (const table of READ) await tx.unsafe(`grant select on ${table} to ${role}`)
    await tx.unsafe(`grant usage on sequence epochs to ${role}`)
    for (const [table, columns] of Object.entries(CHANGE)) {
      await tx.unsafe(`revoke update on ${table} from ${role}`)
      await tx.unsafe(`grant update (${columns.join(', ')}) on ${table} to ${role}`)
    }
  }
}
