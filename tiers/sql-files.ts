import { createHash } from 'node:crypto'
import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { InnkeeperError } from './errors.ts'
import type { AdminSql } from './pg/admin.ts'

/**
 * Applies a folder's SQL files, in the order of their names, that the table of versions does not list yet. Inside the
 * caller's transaction, so that a file and its record are one.
 *
 * @param table where applied files are kept; made when it is not there
 * @throws InnkeeperError `migration_refused` where a file is not the one that was applied under its name
 */
export async function applySqlFiles(tx: AdminSql, folder: string, table: string): Promise<void> {
  await tx.unsafe(
    `create table if not exists ${table}
       (name text primary key, checksum text not null, applied_at timestamptz not null default now())`,
  )
  const rows = await tx.unsafe<{ name: string; checksum: string }[]>(`select name, checksum from ${table}`)
  const applied = new Map(rows.map((r) => [r.name, r.checksum]))
  const files = (await readdir(folder)).filter((f) => f.endsWith('.sql')).sort()
  for (const file of files) {
    const text = await readFile(join(folder, file), 'utf8')
    const checksum = createHash('sha256').update(text).digest('hex')
    const before = applied.get(file)
    if (before === undefined) {
      await tx.unsafe(text)
      await tx.unsafe(`insert into ${table} (name, checksum) values ($1, $2)`, [file, checksum])
    } else if (before !== checksum) {
      throw new InnkeeperError('migration_refused', `Innkeeper's own ${file} is not the one that this database has`, {
        hint: 'The database was made by another build. A local system begins anew with --reset.',
      })
    }
  }
}
