import { readdir } from 'node:fs/promises'
import { fileURLToPath } from 'node:url'
import type { Config } from '../../../config/index.ts'
import { within } from '../../../tiers/cache/within.ts'
import type { ControlPlane } from '../../../tiers/control/control-plane.ts'
import { withAdmin } from '../../../tiers/pg/admin.ts'
import { appLogin } from '../../../tiers/tenancy/roles.ts'
import { type Check, checking, fail, ok, some, warn } from './check.ts'

const ANSWER_MS = 5_000
const MIGRATIONS = fileURLToPath(new URL('../../../tiers/directory/migrations/', import.meta.url))

/** The directory's own database: without it nothing changes, and gateways serve what they remember. */
export function checkControlDatabase(config: Config, control: ControlPlane): Promise<Check[]> {
  const name = 'control database'
  const fix = 'Start the server, or correct the URL that control.url names.'
  return checking(name, fix, () =>
    withAdmin(config.controlUrl, null, { ...config.controlTls, connectTimeoutMs: 3_000 }, async (sql) => {
      const asked = sql<{ version: string }[]>`select current_setting('server_version') as version`
      const [server] = await within(asked, ANSWER_MS)
      const applied = await sql<{ name: string }[]>`select name from directory_versions`
      const wanted = (await readdir(MIGRATIONS)).filter((f) => f.endsWith('.sql'))
      const missing = wanted.filter((f) => !applied.some((a) => a.name === f))
      const checks = [
        ok(name, `answers; PostgreSQL ${server!.version}`),
        missing.length === 0
          ? ok('directory version', `${wanted.length} of ${wanted.length} files applied`)
          : fail('directory version', `not applied: ${some(missing)}`, 'Restart the control plane: it installs them.'),
      ]
      if (config.directoryReaderUrl !== null) {
        const { user } = appLogin(config.directoryReaderUrl)
        const [reader] = await sql<{ plain: boolean; writes: boolean }[]>`
          select not (rolsuper or rolbypassrls or rolcreaterole or rolcreatedb or rolreplication) as plain,
            has_table_privilege(oid, 'tenants', 'insert, update, delete') as writes
          from pg_roles where rolname = ${user}`
        checks.push(
          reader?.plain === true && !reader.writes
            ? ok('directory reader', `${user} may only read`)
            : fail(
                'directory reader',
                `${user} ${reader === undefined ? 'is missing' : 'may do more than read'}`,
                'Name an ordinary role in control.readUrl and restart the control plane.',
              ),
        )
      }
      return [...checks, await halfMade(control), await halfRemoved(control)]
    }),
  )
}

/** A tenant is made in seconds; one that is still at it is what a killed process left. */
async function halfMade(control: ControlPlane): Promise<Check> {
  const found = await control.tenants({ status: 'provisioning', limit: 100 })
  const old = found.filter((t) => Date.now() - t.updatedAt.getTime() > 60_000).map((t) => t.slug)
  if (old.length === 0) return ok('tenants', 'none is half made')
  return warn(
    'tenants',
    `half made for more than a minute: ${some(old)}`,
    'Restart the control plane: it finishes them.',
  )
}

/** Whoever asked for it was answered by an error, or not at all: nobody serves the tenant, and its data is still there. */
async function halfRemoved(control: ControlPlane): Promise<Check> {
  const found = await control.tenants({ status: 'offboarded', isPlaced: true, limit: 100 })
  const old = found.filter((t) => Date.now() - t.updatedAt.getTime() > 60_000).map((t) => t.slug)
  if (old.length === 0) return ok('tenants that left', 'none is half removed')
  return warn(
    'tenants that left',
    `half removed for more than a minute: ${some(old)}`,
    'Remove them again: innkeeper tenants offboard SLUG.',
  )
}
