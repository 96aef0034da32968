import { fileURLToPath } from 'node:url'
import { parsePostgresUrl } from '../../config/index.ts'
import { type AdminSql, withAdmin } from '../pg/admin.ts'
import type { PostgresServer } from '../pg/server.ts'
import { quoteIdent } from '../quote.ts'
import { applySqlFiles } from '../sql-files.ts'
import { type Login, makeLogin } from './login.ts'
import { grantMovers, type MoverLogin } from './movers.ts'
import { READABLE } from './readable.ts'

const MIGRATIONS = fileURLToPath(new URL('./migrations/', import.meta.url))

/**
 * Makes or updates the control database, the role by which gateways read it, and those of the regions' movers. Idempotent.
 *
 * @param server of the control database, for its owner
 * @param reader the gateways' login, which may only read; null where gateways use the owner's
 */
export async function installDirectory(
  server: PostgresServer,
  reader: Login | null,
  movers: readonly MoverLogin[] = [],
): Promise<void> {
  await createIfMissing(server)
  await withAdmin(server.url, null, server, async (sql) => {
    await sql.begin(async (tx) => {
      await tx`select pg_advisory_xact_lock(1229868620)`
      await applySqlFiles(tx as unknown as AdminSql, MIGRATIONS, 'directory_versions')
      if (reader !== null) await grantReader(tx as unknown as AdminSql, reader)
      await grantMovers(tx as unknown as AdminSql, movers)
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

async function grantReader(tx: AdminSql, reader: Login): Promise<void> {
  const role = await makeLogin(tx, reader)
  for (const [table, columns] of Object.entries(READABLE)) {
    await tx.unsafe(`revoke all on ${table} from ${role}`)
    await tx.unsafe(`grant select (${columns.join(', ')}) on ${table} to ${role}`)
  }
  // What gateways say of themselves, and no more.
  await tx.unsafe(
    `grant execute on function gateway_seen(uuid, text, text, text, boolean), gateway_served(uuid, text[], text) to ${role}`,
  )
}
