import type { AdminSql } from '../../../tiers/pg/admin.ts'

/**
 * What everyone may do in a database: nothing, once it is installed, and nothing with what is made in it later. Of what
 * PostgreSQL gives by default with functions and types, migrations take back what matters.
 */
export async function publicRights(sql: AdminSql): Promise<string[]> {
  const rows = await sql<{ message: string }[]>`
    select format('PUBLIC has %s on the database', privilege_type) as message
    from pg_database, aclexplode(coalesce(datacl, acldefault('d', datdba)))
    where datname = current_database() and grantee = 0
    union all
    select format('PUBLIC has %s on schema public', privilege_type)
    from pg_namespace, aclexplode(coalesce(nspacl, acldefault('n', nspowner))) where nspname = 'public' and grantee = 0
    union all
    select format('PUBLIC gets %s on %s that %s makes%s', privilege_type,
      case defaclobjtype when 'r' then 'tables' when 'S' then 'sequences' when 'f' then 'functions' when 'T' then 'types'
        when 'n' then 'schemas' else 'objects' end,
      defaclrole::regrole, ' in schema ' || nullif(defaclnamespace, 0)::regnamespace)
    from pg_default_acl, aclexplode(defaclacl)
    where grantee = 0 and (defaclobjtype, privilege_type) not in (('f', 'EXECUTE'), ('T', 'USAGE'))
    order by 1`
  return rows.map((r) => r.message)
}
