import { readFileSync } from 'node:fs'
import { Socket } from 'node:net'
import { resolveConfig } from '../../config/index.ts'
import { openControlPlane } from '../../tiers/control/control-plane.ts'
import { LAB_INPUT } from '../isolation/support/lab.ts'

/** What the parent says, as JSON on the standard input. */
export interface CrashOrder {
  readonly env: Readonly<Record<string, string>>
  readonly migrationsFolder: string
  /** The number of the network write at which the process is killed. */
  readonly killAt: number
  /** Whether that write still reaches the server. */
  readonly sent: boolean
  readonly work:
    | { readonly create: { slug: string; tier: string; idempotencyKey?: string } }
    | { readonly migrate: true }
}

const order = JSON.parse(readFileSync(0, 'utf8')) as CrashOrder

// Every statement is at least one write, so this is a death before or after any of them.
let writes = 0
const { write } = Socket.prototype
const die = () => process.kill(process.pid, 'SIGKILL')
Socket.prototype.write = function (this: Socket, ...args: unknown[]) {
  // The standard output is a socket too, where it is a pipe.
  if (this.remotePort === undefined || ++writes !== order.killAt) return Reflect.apply(write, this, args)
  if (order.sent) Reflect.apply(write, this, [args[0], die])
  else die()
  return true
} as typeof write

const config = resolveConfig(LAB_INPUT, { kind: 'control' }, order.env)
const control = openControlPlane({ config, migrationsFolder: order.migrationsFolder, references: ['countries'] })
if ('create' in order.work) await control.createTenant({ ...order.work.create, region: 'us' })
else {
  const { failures } = await control.migrate()
  if (failures[0] !== undefined) throw failures[0].error
}
await control.close()
