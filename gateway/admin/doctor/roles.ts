import type { AdminSql } from '../../../tiers/pg/admin.ts'
import { MOVER, OWNER, TENANCY, TRIGGER } from '../../../tiers/tenancy/roles.ts'
import { type Check, fail, ok } from './check.ts'

interface Role {
  readonly name: string
  readonly login: boolean
  /** Attributes that pass row-level security, or lead to a role that does. */
  readonly rights: string[]
  readonly memberOf: string[]
}

/** What each protection rests on: that the gateways' role is an ordinary one, and that nobody logs in as the owners. */
export async function checkRoles(name: string, sql: AdminSql, app: string): Promise<Check[]> {
  const roles = await sql<Role[]>`
    select rolname as name, rolcanlogin as login,
      array_remove(array[case when rolsuper then 'SUPERUSER' end, case when rolbypassrls then 'BYPASSRLS' end,
        case when rolcreaterole then 'CREATEROLE' end, case when rolcreatedb then 'CREATEDB' end,
        case when rolreplication then 'REPLICATION' end], null) as rights,
      array(select roleid::regrole::text from pg_auth_members m where m.member = r.oid order by 1) as "memberOf"
    from pg_roles r where rolname in (${app}, ${OWNER}, ${TENANCY}, ${TRIGGER}, ${MOVER})`
  const faults = [app, OWNER, TENANCY, TRIGGER, MOVER].flatMap((wanted) => {
    const role = roles.find((r) => r.name === wanted)
    if (role === undefined) return [`${wanted} is missing`]
    const found = [
      ...role.rights.map((r) => `${wanted} has ${r}`),
      ...role.memberOf.map((m) => `${wanted} is a member of ${m}`),
    ]
    return wanted !== app && role.login ? [...found, `${wanted} can log in`] : found
  })
  if (faults.length === 0) return [ok(name, `${app} and the owners are ordinary roles`)]
  const fix =
    'Take it away: ALTER ROLE ... NOSUPERUSER NOBYPASSRLS NOCREATEROLE NOCREATEDB NOREPLICATION, REVOKE ... FROM ...'
  return [fail(name, faults.join('; '), fix)]
}
