import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { AdminSql } from './pg/admin.ts'

/**
 * Applies a folder's SQL files, in the order of their names, that the table of versions does not list yet. Inside the
 * caller's transaction, so that a file and its record are one.
 *
 * @param table where applied names are kept: two columns, `name` and `applied_at`; made when it is not there
 */
export async function applySqlFiles(tx: AdminSql, folder: string, table: string): Promise<void> {
  await tx.unsafe(
    `create table if not exists ${table} (name text primary key, applied_at timestamptz not null default now())`,
  )
  const applied = new Set((await tx.unsafe<{ name: string }[]>(`select name from ${table}`)).map((r) => r.name))
  const files = (await readdir(folder)).filter((f) => f.endsWith('.sql')).sort()
  for (const file of files) {
    if (applied.has(file)) continue
    await tx.unsafe(await readFile(join(folder, file), 'utf8'))
    await tx.unsafe(`insert into ${table} (name) values ($1)`, [file])
  }
}
