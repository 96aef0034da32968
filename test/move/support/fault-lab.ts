import { setTimeout as sleep } from 'node:timers/promises'
import { resolveConfig } from '../../../config/index.ts'
import { openControlPlane } from '../../../tiers/control/control-plane.ts'
import type { MoveContext } from '../../../tiers/move/context.ts'
import { type Link, openLink } from '../../support/link.ts'
import type { TestPostgres } from '../../support/postgres.ts'
import type { TestSystem } from '../../support/system.ts'
import { type GatewayProcess, spawnLoadGateway } from './gateway.ts'
import { QUICK, startTwoClusters } from './two-clusters.ts'

/** The servers of a fault lab. */
export type Place = 'control' | 'us-1' | 'us-2'

/** A dead mover's lease runs out soon, a network that says nothing is soon given up, and a failed step is tried again soon. */
export const FAULT_SETTINGS = { ...QUICK, leaseMs: 1_500, silentMs: 700, quarantineMs: 300, retryMs: 200 }

/** How long what was broken stays so. Longer than what tells a slow answer from none. */
const DOWN_MS = 900

/** What is broken at a point of a move, and how it is mended. */
export interface Fault {
  readonly name: string
  begin(lab: FaultLab, move: MoveContext): Promise<void> | void
  /** Left out where there is nothing to mend. */
  mend?(lab: FaultLab, move: MoveContext): Promise<void> | void
}

/**
 * Two clusters and the control database, each on a server of its own; a mover that reaches each of them through a network
 * that can fail; a gateway in a process of its own, and whatever looks on beside them.
 */
export interface FaultLab {
  readonly system: TestSystem
  readonly gateway: GatewayProcess
  readonly links: Readonly<Record<Place, Link>>
  readonly servers: Readonly<Record<Place, TestPostgres>>
  /** Breaks something when the mover next comes to the point, and mends it after a while. */
  arm(point: string, fault: Fault): Armed
  close(): Promise<void>
}

export interface Armed {
  /** The point was met. */
  readonly met: () => boolean
  /** Waits until what was broken is mended. */
  mended(): Promise<void>
}

export async function startFaultLab(): Promise<FaultLab> {
  const system = await startTwoClusters([{ slug: 'acme', tier: 'free', region: 'us' }], {
    ownControlServer: true,
    moveSettings: FAULT_SETTINGS,
    // What a server has acknowledged survives its death, as it does where nobody trades that for speed.
    settings: { synchronous_commit: 'on' },
  })
  const servers = {
    control: system.controlServer,
    'us-1': system.servers.get('us')!,
    'us-2': system.servers.get('eu')!,
  }
  const open = async (place: Place) => openLink(servers[place].server.port)
  const links = { control: await open('control'), 'us-1': await open('us-1'), 'us-2': await open('us-2') }
  const { input, env, migrationsFolder } = system
  const through = {
    ...env,
    INNKEEPER_CONTROL_URL: links.control.through(env.INNKEEPER_CONTROL_URL!),
    INNKEEPER_US_1_ADMIN_URL: links['us-1'].through(env.INNKEEPER_US_1_ADMIN_URL!),
    INNKEEPER_EU_1_ADMIN_URL: links['us-2'].through(env.INNKEEPER_EU_1_ADMIN_URL!),
  }
  const config = resolveConfig(input, { kind: 'control' }, through)
  const mover = openControlPlane({ config, migrationsFolder, moveSettings: FAULT_SETTINGS })
  const gateway = await spawnLoadGateway({ input, env })
  let armed: { point: string; break(ctx: MoveContext): Promise<void> } | null = null
  mover.moves.run(async (point, ctx) => {
    if (point !== armed?.point) return
    const now = armed
    armed = null
    await now.break(ctx)
  })
  const lab: FaultLab = {
    system,
    gateway,
    links,
    servers,
    arm(point, fault) {
      let met = false
      let mended = Promise.resolve()
      armed = {
        point,
        async break(ctx) {
          met = true
          await fault.begin(lab, ctx)
          // The move goes on meanwhile, as far as it gets.
          mended = sleep(DOWN_MS).then(() => fault.mend?.(lab, ctx))
          mended.catch(() => {})
        },
      }
      return { met: () => met, mended: () => mended }
    },
    async close() {
      for (const link of Object.values(links)) link.set('reset')
      await mover.close()
      await gateway.kill()
      await Promise.all(Object.values(links).map((l) => l.close()))
      await system.close()
    },
  }
  return lab
}
