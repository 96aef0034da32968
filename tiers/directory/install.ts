import { fileURLToPath } from 'node:url'
import { parsePostgresUrl } from '../../config/index.ts'
import { type AdminSql, withAdmin } from '../pg/admin.ts'
import { passwordLiteral } from '../pg/scram.ts'
import type { PostgresServer } from '../pg/server.ts'
import { quoteIdent } from '../quote.ts'
import { applySqlFiles } from '../sql-files.ts'
import { READABLE } from './readable.ts'

const MIGRATIONS = fileURLToPath(new URL('./migrations/', import.meta.url))

/**
 * Makes or updates the control database, and the role by which gateways read it. Idempotent.
 *
 * @param server of the control database, for its owner
 * @param reader the gateways' login, which may only read; null where gateways use the owner's
 */
export async function installDirectory(
  server: PostgresServer,
  reader: { user: string; password: string } | null,
): Promise<void> {
  await createIfMissing(server)
  await withAdmin(server.url, null, server, async (sql) => {
    await sql.begin(async (tx) => {
      await tx`select pg_advisory_xact_lock(1229868620)`
      await applySqlFiles(tx as unknown as AdminSql, MIGRATIONS, 'directory_versions')
      if (reader !== null) await grantReader(tx as unknown as AdminSql, reader)
    })
  })
}

async function createIfMissing(server: PostgresServer): Promise<void> {
  const name = parsePostgresUrl(server.url).database
  await withAdmin(server.url, 'postgres', server, async (sql) => {
    const [found] = await sql`select from pg_database where datname = ${name}`
    if (found === undefined) await sql.unsafe(`create database ${quoteIdent(name)}`)
  })
}

async function grantReader(tx: AdminSql, reader: { user: string; password: string }): Promise<void> {
  const role = quoteIdent(reader.user)
  const [found] = await tx`select from pg_roles where rolname = ${reader.user}`
  if (found === undefined) await tx.unsafe(`create role ${role} login`)
  const password = passwordLiteral(reader.password)
  await tx.unsafe(`alter role ${role} login nosuperuser nocreatedb nocreaterole password ${password}`)
  await tx.unsafe(`grant usage on schema public to ${role}`)
  for (const [table, columns] of Object.entries(READABLE)) {
    await tx.unsafe(`revoke all on ${table} from ${role}`)
    await tx.unsafe(`grant select (${columns.join(', ')}) on ${table} to ${role}`)
  }
  // What gateways say of themselves, and no more.
  await tx.unsafe(
    `grant execute on function gateway_seen(uuid, text, text, text, boolean), gateway_served(uuid, text[], text) to ${role}`,
  )
}
