import assert from 'node:assert/strict'
import { setTimeout as sleep } from 'node:timers/promises'
import { assertRefused, type Check } from '../support/check.ts'
import { inRoom, type Party, type World } from '../support/world.ts'

const COUNT = 'select count(*)::int as n from "{room}".customers'
const LOCK = '1229868619, uuid_hash($1::uuid)'

/** Changes the tenant's fence for as long as the work lasts. */
async function withFence(
  world: World,
  { tenant, placement }: Party,
  change: string,
  work: () => Promise<void>,
): Promise<void> {
  const sql = world.root(world.a)
  await sql.unsafe(`update tenancy.fence set ${change} where tenant_id = $1`, [tenant.id])
  try {
    await work()
  } finally {
    await sql.unsafe(`update tenancy.fence set epoch = $2, state = 'open', capture = false where tenant_id = $1`, [
      tenant.id,
      placement.epoch,
    ])
  }
}

/** Holds the tenant's lock as a mover does. */
async function withMover(
  world: World,
  { tenant }: Party,
  work: (release: () => Promise<void>) => Promise<void>,
): Promise<void> {
  const mover = await world.root(world.a).reserve()
  let held = true
  const release = async () => {
    if (held) await mover.unsafe(`select pg_advisory_unlock(${LOCK})`, [tenant.id])
    held = false
  }
  try {
    await mover.unsafe(`select pg_advisory_lock(${LOCK})`, [tenant.id])
    await work(release)
  } finally {
    await release()
    mover.release()
  }
}

/** Enters on a bare session, and says no by the SQLSTATE of `enter` itself. */
async function enterRaw(
  world: World,
  party: Party,
  level: 'read committed' | 'repeatable read' | 'serializable',
  between = async () => {},
) {
  const step = world.entering(party, { isolationLevel: level })
  return world.raw(party, async (client) => {
    await client.query(`begin isolation level ${level}`)
    // The snapshot of repeatable read and above is taken here.
    await client.query('select 1')
    await between()
    await client.query(step.text, [...step.params])
    return (await client.query(inRoom(COUNT, party))).rows
  })
}

/** Which epoch of a tenant a database serves, and that no one slips by while that changes. */
export const fenceChecks: readonly Check[] = [
  {
    name: 'another epoch than the fence’s is refused by the database',
    rule: 'IK001',
    async run(world) {
      const { a } = world
      await withFence(world, a, 'epoch = epoch + 1', async () => {
        await assertRefused(enterRaw(world, a, 'read committed'), ['IK001'], 'an old epoch')
      })
      const ahead = { ...a, placement: { ...a.placement, epoch: a.placement.epoch + 1 } }
      await assertRefused(enterRaw(world, ahead, 'read committed'), ['IK001'], 'an epoch to come')
    },
  },
  {
    name: 'a tenant without a fence is refused',
    rule: 'IK001',
    async run(world) {
      const { a, root } = world
      const sql = root(a)
      const [row] = await sql.unsafe(
        'delete from tenancy.fence where tenant_id = $1 returning epoch, state, capture, room',
        [a.tenant.id],
      )
      try {
        await assertRefused(enterRaw(world, a, 'read committed'), ['IK001'], 'no fence')
      } finally {
        await sql.unsafe(
          'insert into tenancy.fence (tenant_id, epoch, state, capture, room) values ($1, $2, $3, $4, $5)',
          [a.tenant.id, row!.epoch, row!.state, row!.capture, row!.room],
        )
      }
    },
  },
  {
    name: 'a fenced tenant is refused, with a code of its own',
    rule: 'IK002',
    async run(world) {
      await withFence(world, world.a, `state = 'fenced'`, async () => {
        await assertRefused(enterRaw(world, world.a, 'read committed'), ['IK002'], 'a fenced tenant')
      })
    },
  },
  {
    name: 'while a mover holds the lock, entering is refused at once and nobody queues',
    rule: 'A4, IK003',
    async run(world) {
      const { a, root } = world
      await withMover(world, a, async () => {
        const started = performance.now()
        await assertRefused(enterRaw(world, a, 'read committed'), ['IK003'], 'a locked tenant')
        assert.ok(performance.now() - started < 1_000, 'entering waited for the lock')
        const [queued] = await root(
          a,
        )`select count(*)::int as n from pg_locks where locktype = 'advisory' and not granted`
        assert.equal(queued!.n, 0)
      })
    },
  },
  {
    name: 'a mover that waits for the lock is not overtaken',
    rule: 'A4, the shared lock is held to the end of the transaction',
    async run(world) {
      const { a, interactive, inject, root } = world
      let mover: Promise<unknown> | null = null
      await interactive(a, async (run) => {
        await run(COUNT)
        mover = root(a).begin((tx) => tx.unsafe(`select pg_advisory_xact_lock(${LOCK})`, [a.tenant.id]))
        const waiting = async () =>
          (
            await root(
              a,
            )`select count(*)::int as n from pg_locks where locktype = 'advisory' and not granted and classid = 1229868619`
          )[0]!.n
        const until = performance.now() + 2_000
        while ((await waiting()) === 0 && performance.now() < until) await sleep(5)
        assert.equal(await waiting(), 1, 'the mover got the lock while a transaction was in the room')
        // What is in goes on.
        await run(COUNT)
      })
      await mover
      assert.deepEqual(await inject(a, COUNT), [{ n: 3 }])
    },
  },
  {
    name: 'who was let in before the fence changed has left before the mover goes on',
    rule: 'A5, lock first, fence after',
    async run(world) {
      const { a, root } = world
      const sql = root(a)
      let fencedAt = Number.POSITIVE_INFINITY
      const move = sleep(60).then(() =>
        sql
          .begin(async (tx) => {
            await tx.unsafe(`select pg_advisory_xact_lock(${LOCK})`, [a.tenant.id])
            await tx.unsafe('update tenancy.fence set epoch = epoch + 1 where tenant_id = $1', [a.tenant.id])
          })
          .then(() => {
            fencedAt = performance.now()
          }),
      )
      const step = world.entering(a)
      const usedAt = await world
        .raw(a, async (client) => {
          await client.query('begin')
          await client.query(step.text, [...step.params])
          await client.query(inRoom(COUNT, a))
          return performance.now()
        })
        .catch(() => 0)
      await move
      await sql`update tenancy.fence set epoch = ${a.placement.epoch} where tenant_id = ${a.tenant.id}`
      assert.ok(usedAt < fencedAt, 'a transaction used the room at an epoch that was over')
    },
  },
  {
    name: 'at repeatable read and above, a fence that changed after the snapshot is noticed',
    rule: 'A5, FOR SHARE',
    async run(world) {
      const { a } = world
      for (const level of ['repeatable read', 'serializable'] as const) {
        assert.deepEqual(await enterRaw(world, a, level), [{ n: 3 }])
        for (const change of ['epoch = epoch + 1', `state = 'fenced'`]) {
          await withFence(world, a, 'capture = false', async () => {
            const entered = enterRaw(world, a, level, async () => {
              await world.root(a).unsafe(`update tenancy.fence set ${change} where tenant_id = $1`, [a.tenant.id])
            })
            await assertRefused(entered, ['40001', 'IK001', 'IK002'], `${level}, ${change}`)
          })
        }
      }
    },
  },
  {
    name: 'a parked request holds no connection, and goes on when the tenant is open again',
    rule: 'A4, a pool of one stays usable',
    async run(world) {
      const { a, b, inject } = world
      await withMover(world, a, async (release) => {
        const parked = inject(a, COUNT)
        parked.catch(() => {})
        await sleep(20)
        for (let n = 0; n < 3; n++) assert.deepEqual(await inject(b, COUNT), [{ n: 3 }])
        await release()
        assert.deepEqual(await parked, [{ n: 3 }])
      })
    },
  },
  {
    name: 'a request follows its tenant to another epoch without an error',
    rule: 'DESIGN, the gateway re-reads the directory',
    async run(world) {
      const { a, inject, interactive, placements } = world
      const moved = { ...a.tenant, placement: { ...a.placement, epoch: a.placement.epoch + 1 } }
      for (const go of [() => inject(a, COUNT), () => interactive(a, (run) => run(COUNT))]) {
        await withFence(world, a, 'epoch = epoch + 1', async () => {
          const running = go()
          running.catch(() => {})
          await sleep(20)
          for (const key of [a.tenant.id, a.tenant.slug]) placements.set(key, moved)
          try {
            assert.deepEqual(await running, [{ n: 3 }])
          } finally {
            for (const key of [a.tenant.id, a.tenant.slug]) placements.set(key, { ...a.tenant, placement: a.placement })
          }
        })
      }
    },
  },
  {
    name: 'waiting for a tenant that is being moved is bounded',
    rule: 'DESIGN, 503 tenant_moving',
    async run(world) {
      const { a, b, inject, clusters } = world
      for (const change of [`state = 'fenced'`, 'epoch = epoch + 1']) {
        await withFence(world, a, change, async () => {
          const started = performance.now()
          await assertRefused(inject(a, COUNT), ['tenant_moving'], change)
          assert.ok(performance.now() - started < 5_000)
        })
      }
      for (const status of clusters.status().values())
        assert.deepEqual({ leased: status.leased, waiting: status.waiting }, { leased: 0, waiting: 0 })
      assert.deepEqual(await inject(b, COUNT), [{ n: 3 }])
    },
  },
]
