import { createHash } from 'node:crypto'
import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'

export interface MigrationFile {
  readonly name: string
  /** SQL whose schema is written `"{room}"`. */
  readonly text: string
  readonly checksum: string
}

/** A name for these very files: two processes that have the same have the same files. */
export function versionOf(files: readonly MigrationFile[]): string {
  return createHash('sha256')
    .update(JSON.stringify(files.map((f) => [f.name, f.checksum])))
    .digest('hex')
}

/** Reads a folder's `*.sql` in the order of their names. A name that starts with anything but a digit is left out. */
export async function readMigrations(folder: string): Promise<MigrationFile[]> {
  const names = (await readdir(folder)).filter((f) => /^\d.*\.sql$/.test(f)).sort()
  return Promise.all(
    names.map(async (name) => {
      const text = await readFile(join(folder, name), 'utf8')
      return { name, text, checksum: createHash('sha256').update(text).digest('hex') }
    }),
  )
}
