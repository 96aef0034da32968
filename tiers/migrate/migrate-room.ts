import { InnkeeperError } from '../errors.ts'
import type { AdminSql } from '../pg/admin.ts'
import { quoteIdent, quoteLiteral } from '../quote.ts'
import { OWNER } from '../tenancy/roles.ts'
import { ROOM_IDENTIFIER } from '../types.ts'
import type { MigrationFile } from './files.ts'
import { protectRoom, returnTriggers } from './protect.ts'

export interface RoomMigration {
  readonly files: readonly MigrationFile[]
  readonly references: readonly string[]
  /** The gateways' login role. */
  readonly app: string
  /** SQL that begins each transaction, and ends it by an error where the room must not be touched. */
  readonly begin?: string | undefined
}

/**
 * Brings one room to the newest migration: each file in a transaction of its own with its record, so that a killed run
 * goes on where it stopped. Idempotent; runs on one room take turns.
 *
 * @returns the names of the files that were applied now
 * @throws InnkeeperError `conflict` where a move is loading the room, `migration_refused` when a file was changed after it was applied, or leaves a hole
 */
export async function migrateRoom(sql: AdminSql, room: string, migration: RoomMigration): Promise<string[]> {
  const applied: string[] = []
  const outstanding = await outstandingIn(sql, room, migration.files)
  for (const file of outstanding) {
    const ran = await sql.begin(async (tx) => {
      if (migration.begin !== undefined) await tx.unsafe(migration.begin)
      await tx`select pg_advisory_xact_lock(1229868621, hashtext(${room}))`
      const [record] = await tx<{ checksum: string }[]>`
        select checksum from tenancy.migrations where room = ${room} and name = ${file.name}`
      if (record !== undefined) {
        checkUnchanged(file, record.checksum)
        return false
      }
      await assertWhole(tx as unknown as AdminSql, room)
      await apply(tx as unknown as AdminSql, room, file, migration)
      return true
    })
    if (ran) applied.push(file.name)
  }
  return applied
}

/** What a room that is up to date costs: one look. What it finds is looked at again under the lock. */
async function outstandingIn(sql: AdminSql, room: string, files: readonly MigrationFile[]): Promise<MigrationFile[]> {
  const records = await sql<{ name: string; checksum: string }[]>`
    select name, checksum from tenancy.migrations where room = ${room}`
  const known = new Map(records.map((r) => [r.name, r.checksum]))
  return files.filter((file) => {
    const checksum = known.get(file.name)
    if (checksum !== undefined) checkUnchanged(file, checksum)
    return checksum === undefined
  })
}

/** A move that loads a room has taken keys and triggers away, which a migration would miss, or make a second time. */
async function assertWhole(tx: AdminSql, room: string): Promise<void> {
  const parts = await tx`select from tenancy.room_parts where room = ${room} limit 1`
  if (parts.length === 0) return
  throw new InnkeeperError('conflict', `The room ${room} is being loaded by a move, and is not whole yet`, {
    hint: 'Wait for the move to end, or abort it.',
  })
}

async function apply(tx: AdminSql, room: string, file: MigrationFile, migration: RoomMigration): Promise<void> {
  await tx.unsafe(`set local lock_timeout = '5s'`)
  await returnTriggers(tx, room)
  await tx.unsafe(`set local role ${OWNER}`)
  await tx.unsafe(`create schema if not exists ${quoteIdent(room)}`)
  await tx.unsafe(`set local search_path = ${quoteIdent(room)}, pg_temp`)
  await unforce(tx, room)
  await runWhole(tx, file, file.text.replaceAll(ROOM_IDENTIFIER, quoteIdent(room)))
  await tx.unsafe(`set local role ${OWNER}`)
  await protectRoom(tx, room, migration.app, migration.references)
  await tx.unsafe('reset role')
  await assertNothingBeside(tx, room)
  await tx`insert into tenancy.migrations (room, name, checksum) values (${room}, ${file.name}, ${file.checksum})`
}

/**
 * What stands in another schema has no policies, and needs no grant to be reached: a view of the room may call a function
 * there. A schema that holds extensions only holds nobody's rows. Rooms have records here, made with them in one transaction; what
 * moves put rows aside in are `move_…` and theirs.
 */
async function assertNothingBeside(tx: AdminSql, room: string): Promise<void> {
  const beside = await tx<{ name: string }[]>`
    with own as (
      select classid, objid, space from (
        select 'pg_class'::regclass as classid, oid as objid, relnamespace as space from pg_class
        union all select 'pg_proc'::regclass, oid, pronamespace from pg_proc
      ) made where not exists (select from pg_depend d where (d.classid, d.objid) = (made.classid, made.objid) and d.deptype = 'e')
    )
    select nspname as name from pg_namespace n
    where nspowner = ${OWNER}::regrole and nspname <> ${room} and nspname !~ '^move_[0-9a-f]{32}$'
      and not exists (select from tenancy.migrations m where m.room = nspname)
      and exists (select from own where own.space = n.oid) order by 1`
  if (beside.length === 0) return
  throw new InnkeeperError('migration_refused', 'The migration leaves a schema beside the room', {
    details: beside
      .map((s) => `${s.name}: is a schema of the migrations' owner, and nothing in it is protected`)
      .join('; '),
    hint: 'Create everything in the room.',
  })
}

/**
 * Inside EXECUTE the server takes no COMMIT. With one, what the file had left would stay when the look for holes refuses it.
 * The last statement is ours, because EXECUTE refuses some of those that a file may end with.
 */
async function runWhole(tx: AdminSql, file: MigrationFile, text: string): Promise<void> {
  const body = `begin execute ${quoteLiteral(`${text}\n;select 1`)}; end`
  try {
    await tx.unsafe(`do ${quoteLiteral(body)}`)
  } catch (cause) {
    const { code, message = '' } = cause as { code?: string; message?: string }
    if (code !== '0A000' || !/transaction commands/.test(message)) throw cause
    throw new InnkeeperError('migration_refused', `${file.name} begins or ends a transaction`, {
      cause,
      details: 'What stands before a COMMIT would stay where the rest is refused.',
      hint: 'Leave BEGIN, COMMIT, ROLLBACK and SAVEPOINT out: each file runs in a transaction of its own.',
    })
  }
}

/**
 * Under forced row-level security the owner sees no row: an UPDATE would do nothing and a new foreign key would be
 * marked as valid without a look at the rows. The lift ends with this transaction, in which `protectRoom` forces it again.
 */
async function unforce(tx: AdminSql, room: string): Promise<void> {
  const tables = await tx<{ name: string }[]>`
    select relname as name from pg_class where relnamespace = ${room}::regnamespace and relforcerowsecurity`
  for (const { name } of tables) {
    await tx.unsafe(`alter table ${quoteIdent(room)}.${quoteIdent(name)} no force row level security`)
  }
}

function checkUnchanged(file: MigrationFile, checksum: string): void {
  if (file.checksum === checksum) return
  throw new InnkeeperError('migration_refused', `${file.name} was changed after it had been applied`, {
    hint: 'Restore the file, and put the change into a new migration.',
  })
}
