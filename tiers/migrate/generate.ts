import { mkdir, readdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { is } from 'drizzle-orm'
import { PgTable } from 'drizzle-orm/pg-core'
import { showTenantColumn } from '../../config/tenant-table.ts'
import { InnkeeperError } from '../errors.ts'

/**
 * Writes the next migration from `schema.ts`, by drizzle-kit: the difference to the snapshot that the last one left in
 * `meta/`. Run it in a process of its own, since it makes `tenant_id` visible in the tables it is given.
 *
 * @param schema what `schema.ts` exports
 * @param name   what the migration is about: letters, digits and underscores
 * @returns the new file's name, or null when there is no difference
 * @throws InnkeeperError `invalid_config` where drizzle-kit is not installed
 */
export async function generateMigration(
  schema: Record<string, unknown>,
  folder: string,
  name: string,
): Promise<string | null> {
  const kit = await import('drizzle-kit/api').catch((cause: unknown) => {
    throw new InnkeeperError('invalid_config', 'drizzle-kit is needed to write migrations', {
      cause,
      hint: 'npm install --save-dev drizzle-kit',
    })
  })
  for (const table of Object.values(schema)) if (is(table, PgTable)) showTenantColumn(table)
  const meta = join(folder, 'meta')
  await mkdir(meta, { recursive: true })
  const numbers = (await readdir(meta)).flatMap((f) => /^(\d{4})_snapshot\.json$/.exec(f)?.[1] ?? []).sort()
  const last = numbers.at(-1)
  const before = last
    ? JSON.parse(await readFile(join(meta, `${last}_snapshot.json`), 'utf8'))
    : kit.generateDrizzleJson({})
  const after = kit.generateDrizzleJson(schema, before.id)
  const statements = await kit.generateMigration(before, after)
  if (statements.length === 0) return null
  const existing = (await readdir(folder)).flatMap((f) => Number(/^(\d{4})_.*\.sql$/.exec(f)?.[1] ?? 0))
  const number = String(Math.max(0, ...existing) + 1).padStart(4, '0')
  const file = `${number}_${name}.sql`
  await writeFile(join(folder, file), `${statements.map((s) => s.trim()).join('\n\n')}\n`)
  await writeFile(join(meta, `${number}_snapshot.json`), `${JSON.stringify(after, null, 2)}\n`)
  return file
}
