import { InnkeeperError } from '../errors.ts'
import type { AdminSql } from '../pg/admin.ts'
import { quoteIdent, quoteLiteral } from '../quote.ts'
import { APP_SCHEMA, MOVER, OWNER, TRIGGER } from '../tenancy/roles.ts'
import { captureChanges } from './capture.ts'
import { faultsOf } from './faults.ts'
import { giveWayToMoves } from './give-way.ts'

/**
 * Puts every table of a room behind the door: forced row-level security, the one policy, the grants. It runs at the end
 * of each migration, in its transaction, as the owner of the room, after a look for everything that would be a hole.
 *
 * @param references tables that are declared as shared reference tables: read-only, without `tenant_id`
 * @throws InnkeeperError `migration_refused`, naming each object at fault and the fix
 */
export async function protectRoom(
  tx: AdminSql,
  room: string,
  app: string,
  references: readonly string[],
): Promise<void> {
  const faults = await faultsOf(tx, room, references)
  if (faults.length > 0) {
    throw new InnkeeperError('migration_refused', `The migration leaves ${faults.length} hole(s) between tenants`, {
      details: faults.map((f) => `${f.object}: ${f.fault}`).join('; '),
      hint: [...new Set(faults.map((f) => f.fix))].join(' '),
    })
  }
  const schema = quoteIdent(room)
  const roles = `${quoteIdent(app)}, ${TRIGGER}`
  // Who may create here may put a table into everybody's room (SELECT INTO), and no migration passes from then on.
  await tx.unsafe(`revoke all on schema ${schema} from public, ${roles}, ${MOVER}`)
  await tx.unsafe(`grant usage on schema ${schema} to ${roles}, ${MOVER}`)
  // Their numbers count what all tenants insert.
  await tx.unsafe(`revoke all on all sequences in schema ${schema} from public, ${roles}`)
  const tables = await tx<{ name: string; partition: boolean }[]>`
    select c.relname as name, c.relispartition as partition from pg_class c
    where c.relnamespace = ${room}::regnamespace and c.relkind in ('r', 'p') order by 1`
  for (const { name, partition } of tables) {
    const table = `${schema}.${quoteIdent(name)}`
    await tx.unsafe(`revoke all on ${table} from public, ${roles}, ${MOVER}`)
    if (references.includes(name)) {
      // The mover compares them: what a tenant's rows point at must be the same on both sides.
      await tx.unsafe(`grant select on ${table} to ${roles}, ${MOVER}`)
      continue
    }
    await tx.unsafe(`alter table ${table} enable row level security, force row level security`)
    await tx.unsafe(`drop policy if exists innkeeper_tenant on ${table}`)
    await tx.unsafe(
      `create policy innkeeper_tenant on ${table} to ${roles}, ${OWNER} using (tenant_id = (select tenancy.tenant_id()))
         with check (tenant_id = (select tenancy.tenant_id()))`,
    )
    // A partition reached directly would skip its parent's policy; only the parent is granted.
    if (!partition) await tx.unsafe(`grant select, insert, update, delete on ${table} to ${roles}`)
    if (room !== APP_SCHEMA) await keepStrangersOut(tx, table, room, roles)
    else await keepPages(tx, table)
    await openToMover(tx, table)
  }
  await captureChanges(tx, room, references)
  await giveWayToMoves(tx, room)
  // What a check constraint or a generated column calls runs with the rights of whoever writes the row.
  await protectFunctions(tx, room, `${roles}, ${MOVER}`)
  const views = await tx<{ name: string }[]>`
    select c.relname as name from pg_class c where c.relnamespace = ${room}::regnamespace and c.relkind = 'v'`
  for (const { name } of views) {
    await tx.unsafe(`revoke all on ${schema}.${quoteIdent(name)} from public, ${roles}`)
    await tx.unsafe(`grant select on ${schema}.${quoteIdent(name)} to ${roles}`)
  }
}

/** Beside the tenant's policy: rows are written into the tenant's own schema alone. Reading needs no such rule. */
async function keepStrangersOut(tx: AdminSql, table: string, room: string, roles: string): Promise<void> {
  const check = `${quoteLiteral(room)} = (select tenancy.own_room())`
  for (const command of ['insert', 'update']) {
    await tx.unsafe(`drop policy if exists innkeeper_room_${command} on ${table}`)
    await tx.unsafe(
      `create policy innkeeper_room_${command} on ${table} as restrictive for ${command} to ${roles} with check (${check})`,
    )
  }
}

/**
 * When a large tenant has left the pool, vacuum would give the end of the file back to the disk, and shut the table to
 * everyone again and again while it does. The space is used by whoever comes next. Who has said otherwise is left alone.
 */
async function keepPages(tx: AdminSql, table: string): Promise<void> {
  const [found] = await tx<{ says: boolean }[]>`
    select coalesce(array_to_string(reloptions, ' ') like '%vacuum_truncate=%', false) as says
    from pg_class where oid = ${table}::regclass and relkind = 'r'`
  if (found?.says === false)
    await tx.unsafe(`alter table ${table} set (vacuum_truncate = false, toast.vacuum_truncate = false)`)
}

/** A move's rows, and only those, for the role that only movers take on. */
async function openToMover(tx: AdminSql, table: string): Promise<void> {
  await tx.unsafe(`
    grant select, insert, update, delete on ${table} to ${MOVER};
    drop policy if exists innkeeper_mover on ${table};
    create policy innkeeper_mover on ${table} to ${MOVER} using (tenant_id = (select tenancy.moving_tenant()))
      with check (tenant_id = (select tenancy.moving_tenant()))`)
}

/**
 * Trigger functions run as the table's owner when a foreign key cascades, and the owner passes row-level security there.
 * So each becomes the property of a role that owns nothing, and runs with its rights.
 */
async function protectFunctions(tx: AdminSql, room: string, roles: string): Promise<void> {
  const functions = await tx<{ signature: string; trigger: boolean; owner: string }[]>`
    select p.oid::regprocedure::text as signature, p.prorettype = 'trigger'::regtype as trigger, p.proowner::regrole::text as owner
    from pg_proc p where p.pronamespace = ${room}::regnamespace and p.prokind in ('f', 'p')`
  const path = `${quoteIdent(room)}, pg_temp`
  for (const { signature, trigger, owner } of functions) {
    if (owner === TRIGGER) continue
    await tx.unsafe(`revoke all on routine ${signature} from public`)
    if (!trigger) {
      await tx.unsafe(`grant execute on routine ${signature} to ${roles}`)
      continue
    }
    await tx.unsafe(`alter function ${signature} security definer set search_path = ${path}`)
    // Changing an owner asks for the right to create in the schema, given for this one statement, and for membership in
    // the new owner's role, which the installer has and the rooms' owner must not have.
    await tx.unsafe(`grant create on schema ${quoteIdent(room)} to ${TRIGGER}`)
    await tx.unsafe('reset role')
    await tx.unsafe(`alter function ${signature} owner to ${TRIGGER}`)
    await tx.unsafe(`set local role ${OWNER}`)
    await tx.unsafe(`revoke create on schema ${quoteIdent(room)} from ${TRIGGER}`)
  }
}

/**
 * Gives the room's trigger functions back to its owner for one migration, which may replace them, and whose backfill may
 * fire them for rows of all tenants. {@link protectRoom} takes them away again in the same transaction.
 */
export async function returnTriggers(tx: AdminSql, room: string): Promise<void> {
  const functions = await tx<{ signature: string }[]>`
    select oid::regprocedure::text as signature from pg_proc
    where pronamespace = to_regnamespace(quote_ident(${room})) and proowner = ${TRIGGER}::regrole`
  for (const { signature } of functions) await tx.unsafe(`alter function ${signature} owner to ${OWNER}`)
}
