import type { AdminSql } from '../../../tiers/pg/admin.ts'
import { quoteIdent } from '../../../tiers/quote.ts'
import { APP_SETTINGS } from '../../../tiers/tenancy/roles.ts'
import { type Check, fail, ok, some, warn } from './check.ts'

/** Of PostgreSQL's settings those that decide what a statement means and whether its result lasts; others only cost or gain time. */
const MEANING = '^(Client Connection Defaults|Version and Platform Compatibility|Developer Options|Write-Ahead Log)'

interface Setting {
  /** Null for all databases. */
  readonly database: string | null
  readonly name: string
  readonly value: string
  readonly hasMeaning: boolean
}

/** What the gateways' sessions begin with: as it was installed, and nothing that changes statements beside it. */
export async function checkSettings(name: string, sql: AdminSql, app: string): Promise<Check[]> {
  const settings = await sql<Setting[]>`
    with found as (
      select d.datname as database, lower(split_part(line, '=', 1)) as name, substr(line, strpos(line, '=') + 1) as value
      from pg_db_role_setting s left join pg_database d on d.oid = s.setdatabase, unnest(s.setconfig) line
      where s.setrole = ${app}::regrole
    )
    select database, name, value, name in ('role', 'session_authorization')
      or exists (select from pg_settings p where lower(p.name) = found.name and p.category ~ ${MEANING}) as "hasMeaning"
    from found order by database nulls first, name`
  const changed = Object.entries(APP_SETTINGS).flatMap(([setting, wanted]) => {
    const found = settings.find((s) => s.database === null && s.name === setting)
    if (found === undefined) return [`${setting} is not set`]
    return found.value === wanted ? [] : [`${setting} is ${found.value}`]
  })
  const own = settings.filter((s) => s.database !== null && s.name in APP_SETTINGS && s.value !== APP_SETTINGS[s.name])
  const others = settings.filter((s) => s.hasMeaning && !(s.name in APP_SETTINGS))
  const text = (s: Setting) => `${s.name} is ${s.value}${s.database === null ? '' : ` in ${s.database}`}`
  const faults = [...changed, ...own.map(text)]
  const role = quoteIdent(app)
  const fix = `Restart the control plane, which sets its own; for others: ALTER ROLE ${role} [IN DATABASE ...] RESET ...`
  if (faults.length > 0) return [fail(name, `of ${app}: ${some([...faults, ...others.map(text)])}`, fix)]
  if (others.length > 0) return [warn(name, `of ${app}, not by Innkeeper: ${some(others.map(text))}`, fix)]
  return [ok(name, `${app} begins as it was installed`)]
}
