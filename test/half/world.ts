import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import { resolveConfig } from '../../config/index.ts'
import { type ControlPlane, openControlPlane } from '../../tiers/control/control-plane.ts'
import type { MoveSettings } from '../../tiers/move/context.ts'
import { QUICK } from '../move/support/two-clusters.ts'
import { startTestSystem, type TestSystem, type TestTenant } from '../support/system.ts'
import { startTap, type Tap } from '../support/tap.ts'
import { envOfHalf, HALF_REGIONS, type HalfRegion, halfKeys, withHalves } from './support.ts'

const CHILD = fileURLToPath(new URL('./child.ts', import.meta.url))

export interface TestHalf {
  /** What it logged. */
  readonly log: () => string
  /** Resolves when it has come to its point, and waits there. */
  readonly stopped: Promise<void>
  goOn(): void
  kill(): Promise<void>
}

/** Two regions with a half of the mover each, in processes of their own, and a control plane that moves nobody itself. */
export interface TwoHalves {
  readonly system: TestSystem
  /** Every connection of its goes through a tap. */
  readonly control: ControlPlane
  readonly halves: Record<HalfRegion, TestHalf>
  /** In front of each half, for the other; and between the control plane and each region's server. */
  readonly taps: Readonly<Record<`half ${HalfRegion}` | `control ${HalfRegion}`, Tap>>
  /** Starts the region's half, also where one was killed. @param point of a move, where it stops */
  start(region: HalfRegion, point?: string): Promise<TestHalf>
  close(): Promise<void>
}

export async function startTwoHalves(
  tenants: readonly TestTenant[],
  moveSettings: Partial<MoveSettings> = QUICK,
): Promise<TwoHalves> {
  const made: Tap[] = []
  const tap = async () => {
    const started = await startTap()
    made.push(started)
    return started
  }
  const taps = {
    'half us': await tap(),
    'half eu': await tap(),
    'control us': await tap(),
    'control eu': await tap(),
  }
  const system = await startTestSystem({
    regions: ['us', 'eu'],
    ownControlServer: true,
    tenants,
    env: halfKeys(),
    moveSettings,
    configure: (input) => withHalves(input, { us: taps['half us'].port, eu: taps['half eu'].port }),
  })
  const env = { ...system.env }
  for (const region of HALF_REGIONS) {
    const through = taps[`control ${region}`]
    through.target = system.servers.get(region)!.server.port
    const name = `INNKEEPER_${region.toUpperCase()}_1_ADMIN_URL`
    const url = new URL(env[name]!)
    url.port = String(through.port)
    env[name] = url.href
  }
  const { migrationsFolder } = system
  const config = resolveConfig(system.input, { kind: 'control' }, env)
  const control = openControlPlane({ config, migrationsFolder, moveSettings })
  control.moves.run()

  const children = new Set<ChildProcess>()
  const start = async (region: HalfRegion, point?: string): Promise<TestHalf> => {
    const secrets = envOfHalf(system.env, region)
    const job = JSON.stringify({ input: system.input, region, env: secrets, migrationsFolder, moveSettings, point })
    // With nothing of ours in its environment: what it needs is in its order.
    const child = fork(CHILD, [job], { stdio: ['ignore', 'pipe', 'pipe', 'ipc'], env: {}, execArgv: [] })
    children.add(child)
    let log = ''
    for (const stream of [child.stdout!, child.stderr!]) stream.on('data', (chunk) => (log += chunk))
    const gone = once(child, 'exit').then(() => void children.delete(child))
    const stopped = new Promise<void>((resolve) =>
      child.on('message', (said: { at?: string }) => said.at !== undefined && resolve()),
    )
    const port = await Promise.race([
      new Promise<number>((resolve) =>
        child.on('message', (said: { port?: number }) => said.port !== undefined && resolve(said.port)),
      ),
      gone.then(() => Promise.reject(new Error(`the half of ${region} ended: ${log}`))),
    ])
    taps[`half ${region}`].target = port
    const half: TestHalf = {
      log: () => log,
      stopped,
      goOn: () => child.send('go on'),
      async kill() {
        child.kill('SIGKILL')
        await gone
      },
    }
    halves[region] = half
    return half
  }
  const halves = {} as Record<HalfRegion, TestHalf>
  for (const region of HALF_REGIONS) await start(region)
  return {
    system,
    control,
    halves,
    taps,
    start,
    async close() {
      await Promise.all(HALF_REGIONS.map((r) => halves[r].kill()))
      for (const child of children) child.kill('SIGKILL')
      await control.close()
      await system.close()
      await Promise.all(made.map((t) => t.close()))
    },
  }
}
