import { fileURLToPath } from 'node:url'
import type { AdminSql } from '../pg/admin.ts'
import { quoteIdent } from '../quote.ts'
import { applySqlFiles } from '../sql-files.ts'
import { INSTALL_LOCK } from '../tenancy/roles.ts'

const HERE = fileURLToPath(new URL('.', import.meta.url))

/** Makes or updates the key store in a region's own database. Idempotent. */
export async function installKeys(sql: AdminSql, app: string): Promise<void> {
  const role = quoteIdent(app)
  await sql.begin(async (tx) => {
    await tx`select pg_advisory_xact_lock(${INSTALL_LOCK})`
    const [{ database }] = (await tx`select current_database() as database`) as unknown as [{ database: string }]
    await tx.unsafe(`revoke all on database ${quoteIdent(database)} from public`)
    await tx.unsafe(`grant connect on database ${quoteIdent(database)} to ${role}`)
    await applySqlFiles(tx as unknown as AdminSql, HERE, 'public.key_versions')
    await tx.unsafe('revoke all on all functions in schema keys from public')
    await tx.unsafe(`grant usage on schema keys to ${role}`)
    await tx.unsafe(
      `grant execute on function keys.find(bytea), keys.changes_since(bigint), keys.last_change() to ${role}`,
    )
  })
}
