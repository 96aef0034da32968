import { findPostgresBinaries } from '../../gateway/dev/postgres/binaries.ts'
import type { PostgresVersion } from '../support/postgres.ts'
import { missing } from '../support/program.ts'

/** Says how to get a version that is missing; in CI none may be. */
export function isInstalled(version: PostgresVersion): boolean {
  if (version === 18) return true
  try {
    findPostgresBinaries('postgres-15')
    return true
  } catch {
    missing('PostgreSQL 15', 'npm install (it is the development dependency postgres-15)')
    return false
  }
}
