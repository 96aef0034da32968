import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFile } from 'node:fs/promises'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { BUSY } from '../../support/busy.ts'
import { whenWeDie } from '../../support/guard.ts'
import { startTestSystem, type TestSystem } from '../../support/system.ts'
import { waitUntil } from '../../support/wait.ts'

const CHILD = fileURLToPath(new URL('./zombie-child.ts', import.meta.url))
/** Long enough for a busy machine's handshake, short enough for a test to wait for its end. */
const ZOMBIE_SETTINGS = {
  quarantineMs: 100,
  watchPassMs: 100,
  deadlineMs: 3_000,
  drainMs: 1_000,
  leaseMs: 1_500,
}

interface ZombieCase {
  /** Right before what the mover stops. */
  readonly point: string
  readonly home: { readonly tier: string; readonly region: string }
  readonly to: { readonly tier: string; readonly region: string }
  /** Whether it stops on the way there, or when the room that was left is emptied. */
  readonly during: 'move' | 'completion'
}

export const us = (tier: string) => ({ tier, region: 'us' })
export const eu = (tier: string) => ({ tier, region: 'eu' })

/** @param cases by when the mover sleeps */
export function testZombies(cases: readonly (readonly [when: string, zombie: ZombieCase])[]): void {
  let system: TestSystem
  beforeAll(async () => {
    const tenants = [{ slug: 'acme', tier: 'free', region: 'us' }] as const
    system = await startTestSystem({ regions: ['us', 'eu'], tenants, moveSettings: ZOMBIE_SETTINGS })
  })
  afterAll(() => system?.close())

  test.each(cases)(
    'a mover that sleeps %s, and wakes when others have moved the tenant twice, changes nothing',
    async (_when, zombie) => {
      await wakeZombie(system, 'acme', zombie)
    },
    120_000,
  )
}

/**
 * Stops a mover at a point, has another one finish the move, brings the tenant back to where it was by a second move, and
 * then wakes the first: everything everywhere stays as it is.
 */
async function wakeZombie(system: TestSystem, slug: string, zombie: ZombieCase): Promise<void> {
  const { moves } = system.control
  const finish = async (to: ZombieCase['to']) => {
    const { id } = await moves.start({ tenant: slug, ...to, by: 'test' })
    return id
  }
  const there = async (id: string) => {
    const move = await moves.reached(id, 'watching')
    expect(move, move.reason ?? '').toMatchObject({ state: 'watching' })
    await moves.complete(id)
    expect(await moves.reached(id, 'completed')).toMatchObject({ state: 'completed' })
  }
  let runner = moves.run()
  const home = await finish(zombie.home)
  if ((await moves.get(home)).endedAt === null) await there(home)
  await runner.close()

  const id = await finish(zombie.to)
  if (zombie.during === 'completion') {
    runner = moves.run()
    await moves.reached(id, 'watching')
    await runner.close()
    await moves.complete(id)
  }
  const { input, env, migrationsFolder } = system
  const job = JSON.stringify({ input, env, migrationsFolder, moveSettings: ZOMBIE_SETTINGS, point: zombie.point })
  const child = spawn(process.execPath, [CHILD, job], { stdio: ['ignore', 'ignore', 'pipe'] })
  const callOff = whenWeDie('kill -9 "$1"', String(child.pid))
  let said = ''
  child.stderr.on('data', (chunk) => (said += chunk))
  const ended = once(child, 'exit')
  try {
    await waitUntil(`the mover stops at ${zombie.point}: ${said}`, async () => {
      if (child.exitCode !== null) throw new Error(`the mover ended: ${said}`)
      return /^State:\s+T/m.test(await readFile(`/proc/${child.pid}/status`, 'utf8'))
    })
    runner = moves.run()
    if (zombie.during === 'move') await there(id)
    else expect(await moves.reached(id, 'completed')).toMatchObject({ state: 'completed' })
    const back = await finish(zombie.home)
    expect(await moves.reached(back, 'watching')).toMatchObject({ state: 'watching' })
    // What is made late is seen where nothing is; what is removed late, where the second move's room and books are.
    if (zombie.during === 'move') await there(back)
    const before = await everything(system)
    child.kill('SIGCONT')
    const [code] = await Promise.race([ended, late()])
    expect(code, said).toBe(0)
    expect(await everything(system)).toEqual(before)
    expect(await moves.get(back)).toMatchObject({ reason: null })
    if (zombie.during === 'completion') await there(back)
  } finally {
    callOff()
    child.kill('SIGKILL')
    await runner.close()
  }
}

async function late(): Promise<never> {
  await new Promise((resolve) => setTimeout(resolve, 5_000 * BUSY).unref())
  throw new Error('the woken mover does not end')
}

/** Every room, fence, note, book and key, over all databases of all clusters. */
async function everything(system: TestSystem): Promise<unknown> {
  const found: Record<string, unknown> = {}
  for (const region of system.config.regions.values()) {
    for (const cluster of region.secrets!.clusters.keys()) {
      const maker = system.control.makerOf(cluster)
      const databases = await maker.admin('postgres')<{ name: string }[]>`
        select datname as name from pg_database where datname like 'innkeeper\\_%' and datname <> 'innkeeper_control' order by 1`
      for (const { name } of databases) {
        const sql = maker.admin(name)
        const place = `${cluster}/${name}`
        if (name === 'innkeeper_region') {
          found[place] = await sql`select id, tenant_id, revoked_at from keys.api_keys order by 1`
          continue
        }
        found[place] = {
          schemas: (await sql`select nspname from pg_namespace where nspname !~ '^pg_' order by 1`).map(
            (r) => r.nspname,
          ),
          fences: await sql`select tenant_id, epoch, state, capture, room from tenancy.fence order by 1`,
          moves: await sql`select id, generation from tenancy.moves order by 1`,
          migrations: await sql`select room, name from tenancy.migrations order by 1, 2`,
        }
      }
    }
  }
  return found
}
