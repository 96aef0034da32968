import type { ControlPlane } from '../../../tiers/control/control-plane.ts'
import type { Foreign } from '../../../tiers/residency/scan/found.ts'
import { type Check, checking, fail, ok, some, warn } from './check.ts'

const SCAN_MS = 30 * 60_000

/** Whether each tenant's data is where it belongs, and nowhere else. */
export function checkResidency(control: ControlPlane): Promise<Check[]> {
  const fix = 'Start the servers, or correct their adminUrl: what cannot be looked at is not known to be clean.'
  return checking('residency', fix, async () => [...(await checkPlaces(control)), await checkKept(control)], SCAN_MS)
}

async function checkPlaces(control: ControlPlane): Promise<Check[]> {
  const { looked, foreign } = await control.scanResidency()
  const checks = looked.map(({ cluster, databases, schemas, tables }) => {
    const mine = foreign.filter((f) => f.cluster === cluster)
    return checkOf(`${cluster} residency`, `${databases} databases, ${schemas} schemas, ${tables} tables`, mine)
  })
  const keys = foreign.filter((f) => f.kind === 'keys')
  const regions = [...new Set(keys.map((f) => f.region))]
  return [
    ...checks,
    ...regions.map((region) =>
      checkOf(
        `${region} keys' residency`,
        '',
        keys.filter((f) => f.region === region),
      ),
    ),
  ]
}

function checkOf(name: string, looked: string, foreign: readonly Foreign[]): Check {
  const unread = foreign.filter((f) => f.kind === 'unread')
  const found = foreign.filter((f) => f.kind !== 'unread')
  if (found.length > 0) {
    const fix =
      'Find out how it came there and whose it is; remove it only then. It is in no directory, and in no report.'
    return fail(name, `not known to the directory: ${some(found.map(textOf))}`, fix)
  }
  if (unread.length > 0) {
    const fix = 'Let the adminUrl be of a role that passes row-level security, or look there with one.'
    return warn(name, `${unread.length} tables hide their rows from us, ${unread[0]!.what} the first`, fix)
  }
  return ok(name, `${looked}: nothing of a tenant that does not belong there`)
}

function textOf({ database, what, tenant }: Foreign): string {
  return `${database === null ? '' : `${database}: `}${what}${tenant === null ? '' : ` of ${tenant}`}`
}

async function checkKept(control: ControlPlane): Promise<Check> {
  const name = 'residency profiles'
  const violations = await control.residencyViolations()
  if (violations.length === 0) return ok(name, 'every tenant lives where its profile allows')
  const texts = violations.map(
    ({ tenant, faults }) => `${tenant}: ${faults.map((f) => `${f.object} ${f.fault}`).join(', ')}`,
  )
  return fail(name, some(texts), 'Move the tenant home, or let compliance change its profile: innkeeper residency set.')
}
