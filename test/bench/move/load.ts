import { createInterface } from 'node:readline'
import { type ConfigInput, resolveConfig } from '../../../config/index.ts'
import * as schema from '../../../config/schema.ts'
import { openTenants } from '../../../tiers/open-tenants.ts'
import { paced } from './paced.ts'

/**
 * What uses a cluster while a tenant on it is moved, in a process of its own as gateways are: it writes to the tenant that
 * moves, and reads and writes for its neighbours, at steady rates. For each line of its input it prints a report.
 */
const job = JSON.parse(process.env.BENCH_JOB!) as LoadJob

export interface LoadJob {
  readonly input: ConfigInput
  readonly env: Record<string, string>
  readonly tenant: string
  readonly rows: number
  readonly writesPerSecond: number
  readonly neighbours: readonly string[]
  readonly neighbourRows: number
  readonly requestsPerSecond: number
}

const tenants = await openTenants(resolveConfig(job.input, { kind: 'gateway', region: 'us' }, job.env), { schema })
const TOUCH = `update "{room}".customers set company = $1 where id = $2`
const READ = `select id, name, email, custom from "{room}".customers where id = $1`

const writes = paced(job.writesPerSecond, (turn) =>
  tenants.session(job.tenant).execute({ text: TOUCH, params: [`turn ${turn}`, 1 + ((turn * 7919) % job.rows)] }),
)
const requests = paced(job.requestsPerSecond, (turn) => {
  const session = tenants.session(job.neighbours[turn % job.neighbours.length]!)
  const id = 1 + ((turn * 31) % job.neighbourRows)
  // One in ten writes.
  return turn % 10 === 0
    ? session.execute({ text: TOUCH, params: [`turn ${turn}`, id] })
    : session.execute({ text: READ, params: [id] }, { readOnly: true })
})

console.log('ready')
const lines = createInterface({ input: process.stdin })
lines.on('line', () => console.log(JSON.stringify({ writes: writes.report(), requests: requests.report() })))
lines.on('close', async () => {
  await Promise.all([writes.stop(), requests.stop()])
  await tenants.close()
  process.exit(0)
})
