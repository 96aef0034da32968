import { fileURLToPath } from 'node:url'
import type { AdminSql } from '../pg/admin.ts'
import { quoteIdent } from '../quote.ts'
import { databaseKey, type TicketKey } from '../room/keys.ts'
import { applySqlFiles } from '../sql-files.ts'
import { harden } from './harden.ts'
import { INSTALL_LOCK, MOVER, OWNER, TENANCY, TRIGGER } from './roles.ts'

const HERE = fileURLToPath(new URL('.', import.meta.url))

/**
 * Brings one data database to this version: the tenancy schema file by file, the ticket keys, the grants. Idempotent;
 * installers of one database take turns. Gateways of the version before go on working beside it, because a file only
 * adds: a function whose meaning changes gets a new name.
 *
 * @param sql  a connection of the installer to that very database
 * @param app  the name of the gateways' login role
 * @param keys the ticket keys to accept; others are removed
 */
export async function installDatabase(sql: AdminSql, app: string, keys: readonly TicketKey[]): Promise<void> {
  await sql.begin(async (tx) => {
    await tx`select pg_advisory_xact_lock(${INSTALL_LOCK})`
    const [{ database }] = (await tx`select current_database() as database`) as unknown as [{ database: string }]
    const name = quoteIdent(database)
    await tx.unsafe(`revoke all on database ${name} from public`)
    await tx.unsafe(`grant connect on database ${name} to ${quoteIdent(app)}`)
    await tx.unsafe('revoke all on schema public from public')
    await tx.unsafe(`grant create on database ${name} to ${OWNER}, ${TENANCY}`)
    await tx.unsafe(`create schema if not exists tenancy authorization ${TENANCY}`)
    await tx.unsafe(`set local role ${TENANCY}`)
    await applySqlFiles(tx as unknown as AdminSql, HERE, 'tenancy.versions')
    await tx.unsafe('revoke all on all functions in schema tenancy from public')
    await tx.unsafe(`grant usage on schema tenancy to ${quoteIdent(app)}, ${TRIGGER}, ${OWNER}`)
    await tx.unsafe(
      `grant execute on function tenancy.tenant_id(), tenancy.claims(), tenancy.room_version(text), tenancy.own_room() to ${quoteIdent(app)}, ${TRIGGER}, ${OWNER}`,
    )
    await tx.unsafe(
      `grant execute on function tenancy.enter(text, bytea, text, text, text, text) to ${quoteIdent(app)}`,
    )
    await tx.unsafe(`grant execute on function tenancy.capture(), tenancy.capture_function(text[]) to ${OWNER}`)
    await tx.unsafe(`grant usage on schema tenancy to ${MOVER}`)
    await tx.unsafe(`grant execute on function tenancy.moving_tenant() to ${MOVER}`)
    await tx.unsafe(
      `grant execute on function tenancy.applying() to ${quoteIdent(app)}, ${TRIGGER}, ${OWNER}, ${MOVER}`,
    )
    await tx.unsafe(`grant select, delete on tenancy.notes to ${MOVER}`)
    for (const key of keys) {
      const own = databaseKey(key, database)
      await tx`insert into tenancy.ticket_keys (kid, inner_pad, outer_pad, context_inner, context_outer)
               select ${key.kid}, tenancy.pad(${own}, 54), tenancy.pad(${own}, 92), c.inner_pad, c.outer_pad
               from tenancy.context_key c
               on conflict (kid) do nothing`
    }
    await tx`delete from tenancy.ticket_keys where kid <> all(${keys.map((k) => k.kid)})`
    // A table of one row looks like ten pages until it was analysed, and an index scan of it costs `enter` a tenth more.
    await tx.unsafe('analyze tenancy.ticket_keys, tenancy.context_key')
    await tx.unsafe('reset role')
  })
  await harden(sql, app)
}
