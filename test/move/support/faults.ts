import type { MoveContext } from '../../../tiers/move/context.ts'
import { withAdmin } from '../../../tiers/pg/admin.ts'
import type { LinkMode } from '../../support/link.ts'
import type { Fault, FaultLab, Place } from './fault-lab.ts'

/** Which of the servers: by what it is to the move. */
type End = 'source' | 'target' | 'control'

const ENDS: readonly End[] = ['source', 'target', 'control']

function placeOf(end: End, { move }: MoveContext): Place {
  if (end === 'control') return 'control'
  return (end === 'source' ? move.from : move.to).placement.cluster as Place
}

const serverOf = (lab: FaultLab, end: End, ctx: MoveContext) => lab.servers[placeOf(end, ctx)].server

/** The whole server dies as its machine would, or is stopped so that it has to recover. */
const deadServer = (end: End, how: 'SIGKILL' | 'immediate'): Fault => ({
  name: how === 'SIGKILL' ? `kill -9 of the ${end} server` : `immediate shutdown of the ${end} server`,
  begin: (lab, ctx) =>
    how === 'SIGKILL' ? serverOf(lab, end, ctx).kill('SIGKILL') : serverOf(lab, end, ctx).stop('immediate'),
  mend: (lab, ctx) => serverOf(lab, end, ctx).restart(),
})

const deadNetwork = (end: End, mode: LinkMode, what: string): Fault => ({
  name: `${what} between the mover and the ${end}`,
  begin: (lab, ctx) => lab.links[placeOf(end, ctx)].set(mode),
  mend: (lab, ctx) => lab.links[placeOf(end, ctx)].set('pass'),
})

/** Ends backends at once: those of the mover, or those of the gateways. */
const deadBackends = (ends: readonly End[], whose: 'mover' | 'gateway'): Fault => ({
  name: `the end of the ${whose}’s connections to the ${ends.join(' and the ')}`,
  async begin(lab, ctx) {
    await Promise.all(
      ends.map((end) =>
        withAdmin(serverOf(lab, end, ctx).url(), null, {}, async (sql) => {
          if (whose === 'gateway')
            await sql`select pg_terminate_backend(pid) from pg_stat_activity where usename = 'innkeeper_app'`
          else
            await sql`select pg_terminate_backend(pid) from pg_stat_activity where application_name like 'innkeeper-move%'`
        }),
      ),
    )
  },
})

const deadGateway: Fault = {
  name: 'kill -9 of a gateway',
  begin: (lab) => lab.gateway.kill(),
  mend: (lab) => lab.gateway.restart(),
}

/** Every kind of fault. */
export const FAULTS: readonly Fault[] = [
  deadGateway,
  deadBackends(['source', 'target'], 'gateway'),
  ...ENDS.flatMap((end) => [
    deadBackends([end], 'mover'),
    deadServer(end, 'SIGKILL'),
    deadServer(end, 'immediate'),
    deadNetwork(end, 'reset', 'a reset network'),
    deadNetwork(end, 'hold', 'an outage of the network'),
    deadNetwork(end, 'drop', 'a network that forgets connections'),
  ]),
  deadNetwork('control', 'mute', 'answers that never come'),
]

export function faultNamed(name: string): Fault {
  const found = FAULTS.find((f) => f.name === name)
  if (found === undefined) throw new Error(`There is no fault "${name}", only: ${FAULTS.map((f) => f.name).join(', ')}`)
  return found
}
