import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { ticketKey } from '../../../tiers/room/keys.ts'
import { signTicket, type TicketFacts } from '../../../tiers/room/ticket.ts'
import { assertNoTrace, assertRefused, type Check, outcomeOf } from '../support/check.ts'
import { inRoom, type Party, type Rows, type World } from '../support/world.ts'

const NOT_AUTHENTIC = ['IK020', 'IK021', '22P02', '22023']
const COUNT = 'select count(*)::int as n from "{room}".customers'
const STATE = `select current_setting('tenancy.tenant', true) as tenant, current_setting('tenancy.context', true) as context,
  current_setting('request.jwt.claims', true) as claims`
const RESTORE = `select set_config('tenancy.tenant', $1, $4), set_config('tenancy.context', $2, $4), set_config('request.jwt.claims', coalesce($3, ''), $4)`

interface Saved {
  tenant: string
  context: string
  claims: string | null
}
const saved = async (rows: Promise<Rows>) => (await rows)[0] as unknown as Saved

/** The lines of a ticket, as `tenancy.enter` reads them. */
const LINE = { kid: 0, tenant: 1, epoch: 2, deadline: 3, mode: 4, nonce: 5, claims: 6 }

const unchanged = (params: readonly unknown[]) => [...params]
const withMac = (mac: Buffer | null) => (params: readonly unknown[]) => params.with(1, mac)
const withLine = (at: number, value: string) => (params: readonly unknown[]) =>
  params.with(0, String(params[0]).split('\n').with(at, value).join('\n'))

/** Enters on a bare session of the gateways' login, in a transaction, and says how many customers it sees. */
async function enterRaw(
  world: World,
  party: Party,
  facts: Partial<TicketFacts> = {},
  change: (params: readonly unknown[]) => unknown[] = unchanged,
): Promise<Rows> {
  const step = world.entering(party, facts)
  return world.raw(party, async (client) => {
    await client.query(`begin isolation level ${facts.isolationLevel ?? 'read committed'}`)
    await client.query(step.text, change(step.params))
    return (await client.query(inRoom(COUNT, party))).rows
  })
}

const factsOf = ({ tenant, placement: { database, epoch } }: Party): TicketFacts => ({
  database,
  tenant: tenant.id,
  epoch,
  readOnly: false,
  isolationLevel: 'read committed',
  claims: '',
})

/** The context of a transaction: made by `enter` alone, for one tenant, one transaction, one backend, one user. */
export const contextChecks: readonly Check[] = [
  {
    name: 'without a context there is an error, never an empty answer',
    rule: 'A1, no tenant, no data',
    async run(world) {
      const { a, raw } = world
      for (const text of [
        'select * from "{room}".customers',
        'select count(*) from "{room}".tickets',
        'select * from "{room}".customer_names',
        'select "{room}".all_customer_names()',
        `update "{room}".tags set name = 'x'`,
        'delete from "{room}".comments',
        `insert into "{room}".tags (tenant_id, name) values ('${a.tenant.id}', 'x')`,
        'select tenancy.tenant_id()',
        'select tenancy.claims()',
      ]) {
        await assertRefused(
          raw(a, async (c) => (await c.query(inRoom(text, a))).rows),
          ['IK020'],
          `${text} without a context`,
        )
      }
    },
  },
  {
    name: 'the owner of the tables is held by the policies too',
    rule: 'FORCE ROW LEVEL SECURITY',
    async run(world) {
      const { a, root } = world
      await assertRefused(
        root(a).begin(async (tx) => {
          await tx.unsafe('set local role innkeeper_owner')
          return tx.unsafe(inRoom('select * from "{room}".customers', a)) as unknown as Promise<Rows>
        }) as Promise<Rows>,
        ['IK020'],
        'the owner without a context',
      )
    },
  },
  {
    name: 'changing the tenant setting is found out',
    rule: 'A1',
    async run(world) {
      const { a, b, interactive, inject } = world
      for (const text of [
        `select set_config('tenancy.tenant', '${b.tenant.id}', true)`,
        `select set_config('tenancy.tenant', '${b.tenant.id}', false)`,
      ]) {
        const read = interactive(a, async (run) => {
          await run(text)
          return run('select * from "{room}".customers')
        })
        assertNoTrace(await assertRefused(read, NOT_AUTHENTIC, text), b, text)
        const write = interactive(a, async (run) => {
          await run(text)
          return run(`insert into "{room}".tags (name) values ('planted')`)
        })
        await assertRefused(write, NOT_AUTHENTIC, text)
      }
      // In one statement, in whatever order the server evaluates it.
      const one = `with changed as materialized (select set_config('tenancy.tenant', '${b.tenant.id}', true))
        select c.* from changed, "{room}".customers c`
      assertNoTrace(await outcomeOf(inject(a, one)), b, one)
    },
  },
  {
    name: 'a context that is cleared or invented is an error',
    rule: 'A1',
    async run({ a, b, interactive }) {
      const made = `${randomBytes(32).toString('hex')}.1.0`
      for (const context of ['', 'x', made, '.1.0', `${'0'.repeat(64)}.1.0`, `${b.tenant.id}`]) {
        const read = interactive(a, async (run) => {
          await run(`select set_config('tenancy.context', $1, true), set_config('tenancy.tenant', $2, true)`, [
            context,
            b.tenant.id,
          ])
          return run('select * from "{room}".customers')
        })
        assertNoTrace(await assertRefused(read, NOT_AUTHENTIC, `context "${context}"`), b, context)
      }
    },
  },
  {
    name: 'the epoch and flags in a context cannot be changed',
    rule: 'A1, B3',
    async run({ a, interactive }) {
      for (const change of [`substr(c, 1, 64) || '.9.0'`, `substr(c, 1, 64) || '.1.1'`, `substr(c, 1, 64)`]) {
        const read = interactive(a, async (run) => {
          await run(`select set_config('tenancy.context', ${change}, true) from current_setting('tenancy.context') c`)
          return run(COUNT)
        })
        await assertRefused(read, NOT_AUTHENTIC, change)
      }
    },
  },
  {
    name: 'a context of an earlier transaction is worth nothing in a later one',
    rule: 'A1, bound to transaction_timestamp',
    async run(world) {
      const { a, interactive, inject, raw } = world
      const old = await saved(inject(a, STATE))
      // Through the gateway, over the context of the transaction itself.
      const again = interactive(a, async (run) => {
        await run(RESTORE, [old.tenant, old.context, old.claims, true])
        return run(COUNT)
      })
      await assertRefused(again, ['IK021'], 'a replayed context')
      // On one backend: entered, committed, begun again. This is what a poisoned session would look like.
      const step = world.entering(a)
      await raw(a, async (c) => {
        await c.query('begin')
        await c.query(step.text, [...step.params])
        const { rows } = await c.query<Saved>(STATE)
        assert.equal((await c.query(inRoom(COUNT, a))).rows[0].n, 3)
        await c.query('commit')
        for (const local of [true, false]) {
          await c.query('begin')
          await c.query(RESTORE, [rows[0]!.tenant, rows[0]!.context, rows[0]!.claims, local])
          await assertRefused(
            c.query(inRoom(COUNT, a)).then((r) => r.rows),
            ['IK021'],
            'a replay on the same backend',
          )
          await c.query('rollback')
        }
      })
    },
  },
  {
    name: 'a context ends with its transaction',
    rule: 'A1, transaction-local',
    async run(world) {
      const { a, raw } = world
      const step = world.entering(a)
      await raw(a, async (c) => {
        for (const end of ['commit', 'rollback', 'commit and chain', 'rollback and chain']) {
          await c.query('begin')
          await c.query(step.text, [...step.params])
          await c.query(inRoom(COUNT, a))
          await c.query(end)
          const { rows } = await c.query(`select nullif(current_setting('tenancy.context', true), '') as context,
            nullif(current_setting('tenancy.tenant', true), '') as tenant`)
          assert.deepEqual(rows, [{ context: null, tenant: null }], end)
          await assertRefused(
            c.query(inRoom(COUNT, a)).then((r) => r.rows),
            ['IK020'],
            `after ${end}`,
          )
          await c.query('rollback')
        }
      })
    },
  },
  {
    name: 'a context holds on the backend that entered and on no other',
    rule: 'A1, bound to the process id',
    async run({ a, root, ...world }) {
      // Two backends never begin at the same microsecond, but a parallel worker has its leader's clock and settings.
      const step = world.entering(a)
      const [version] = await root(a)`show server_version_num`
      const force = Number(version!.server_version_num) >= 160_000 ? 'debug_parallel_query' : 'force_parallel_mode'
      await assertRefused(
        root(a).begin(async (tx) => {
          await tx.unsafe('alter function tenancy.tenant_id() parallel safe')
          await tx.unsafe(step.text, [...step.params] as never[], { prepare: false })
          await tx.unsafe(`set local ${force} = on`)
          return tx.unsafe('select tenancy.tenant_id()') as unknown as Promise<Rows>
        }) as Promise<Rows>,
        ['IK021'],
        'the context in another process',
      )
    },
  },
  {
    name: 'claims are those of the gateway, or an error',
    rule: 'issue 2, claims authenticated like the tenant',
    async run({ a, interactive, inject }) {
      const claims = { sub: 'u1', role: 'agent' }
      const ask = 'select tenancy.claims() as claims'
      assert.deepEqual(await inject(a, ask, [], { claims }), [{ claims }])
      assert.deepEqual(await inject(a, ask), [{ claims: null }])
      for (const value of [JSON.stringify({ sub: 'root', role: 'admin' }), '', '{}']) {
        for (const read of [ask, COUNT]) {
          const forged = interactive(
            a,
            async (run) => {
              await run(`select set_config('request.jwt.claims', $1, true)`, [value])
              return run(read)
            },
            { claims },
          )
          await assertRefused(forged, ['IK021'], `claims set to ${value}`)
        }
      }
      const invented = interactive(a, async (run) => {
        await run(`select set_config('request.jwt.claims', '{"role":"admin"}', true)`)
        return run(ask)
      })
      await assertRefused(invented, ['IK021'], 'claims where there were none')
    },
  },
  {
    name: 'a right ticket opens its room',
    rule: 'the other checks would prove nothing',
    async run(world) {
      assert.deepEqual(await enterRaw(world, world.a), [{ n: 3 }])
    },
  },
  {
    name: 'a forged ticket opens nothing',
    rule: 'A1, Kg',
    async run(world) {
      const { a, b } = world
      const mac = world.entering(a).params[1] as Buffer
      const flipped = Buffer.from(mac)
      flipped[31]! ^= 1
      const wrongKey = signTicket(ticketKey(randomBytes(32), 'us-1'), factsOf(a))
      for (const [what, change] of [
        ['one bit', withMac(flipped)],
        ['no mac', withMac(Buffer.alloc(0))],
        ['null for a mac', withMac(null)],
        ['a mac under another key', withMac(wrongKey.mac)],
        ['an unknown key', withLine(LINE.kid, 'nobody')],
        ['another tenant', withLine(LINE.tenant, b.tenant.id)],
        ['another epoch', withLine(LINE.epoch, String(a.placement.epoch + 1))],
        ['a later deadline', withLine(LINE.deadline, String(Math.ceil(Date.now() / 1000) + 3_600))],
        ['another nonce', withLine(LINE.nonce, a.tenant.id)],
        ['another mode', withLine(LINE.mode, 'ro read committed')],
        ['claims', withLine(LINE.claims, '{"role":"admin"}')],
        ['one more line', withLine(LINE.claims, '\n')],
      ] as const) {
        await assertRefused(enterRaw(world, a, {}, change), ['IK010'], what)
      }
    },
  },
  {
    name: 'a ticket past its deadline opens nothing',
    rule: 'A1, short deadline',
    async run(world) {
      const { a } = world
      const old = signTicket(world.clusters.ticketKeyOf('us-1'), factsOf(a), Date.now() - 3_600_000)
      const change = (params: readonly unknown[]) => params.with(0, old.text).with(1, old.mac)
      await assertRefused(enterRaw(world, a, {}, change), ['IK011'], 'an old ticket')
    },
  },
  {
    name: 'a ticket for one database opens no other',
    rule: 'A1, the database is signed',
    async run(world) {
      await assertRefused(
        enterRaw(world, world.a, { database: 'innkeeper_other' }),
        ['IK010'],
        'another database’s ticket',
      )
    },
  },
  {
    name: 'a second tenant cannot enter the same transaction, not even with a right ticket',
    rule: 'A1',
    async run(world) {
      const { a, b, raw } = world
      if (a.placement.database !== b.placement.database) return
      const [mine, other] = [world.entering(a), world.entering(b)]
      const both = raw(a, async (c) => {
        await c.query('begin')
        await c.query(mine.text, [...mine.params])
        await c.query(other.text, [...other.params])
        return (await c.query(inRoom('select * from "{room}".customers', b))).rows
      })
      assertNoTrace(await assertRefused(both, ['IK012'], 'a second tenant'), b, 'a second tenant')
    },
  },
  {
    name: 'SQL injected into an application’s query cannot enter',
    rule: 'A1',
    async run(world) {
      const { a, b, inject, interactive } = world
      const mac = randomBytes(32).toString('hex')
      const call = (kid: string) =>
        `select tenancy.enter('${[kid, b.tenant.id, b.placement.epoch, 9_999_999_999, 'rw read committed', 'x', ''].join('\n')}', '\\x${mac}', '0')`
      for (const kid of ['x', world.clusters.ticketKeyOf('us-1').kid]) {
        await assertRefused(inject(a, call(kid)), ['IK010'], 'entering with an invented ticket')
        const clean = interactive(a, async (run) => {
          await run(`select set_config('tenancy.tenant', '', true), set_config('tenancy.context', '', true)`)
          await run(call(kid))
          return run('select * from "{room}".customers')
        })
        await assertRefused(clean, ['IK010'], 'entering after the settings were cleared')
      }
    },
  },
  {
    name: 'the keys, the fence and the doors’ own functions are out of reach',
    rule: 'A1, keys in a table that the application role cannot read',
    async run({ a, inject }) {
      for (const text of [
        'select * from tenancy.ticket_keys',
        'select * from tenancy.context_key',
        'select * from tenancy.fence',
        'select * from tenancy.migrations',
        'select * from tenancy.versions',
        `update tenancy.fence set state = 'open'`,
        `insert into tenancy.ticket_keys (kid, inner_pad, outer_pad) values ('mine', '', '')`,
        `select tenancy.pad('x', 1)`,
        'select inner_pad from tenancy.context_key where only_row',
      ]) {
        await assertRefused(inject(a, text), ['42501'], text)
      }
    },
  },
  {
    name: 'a read-only transaction stays one',
    rule: 'A1, flags are signed',
    async run({ a, interactive }) {
      for (const text of [
        `select set_config('transaction_read_only', 'off', true)`,
        'set transaction read write',
        `select set_config('default_transaction_read_only', 'off', true)`,
      ]) {
        const write = interactive(
          a,
          async (run) => {
            await run(COUNT)
            await run(text)
            return run(`insert into "{room}".tags (name) values ('written')`)
          },
          { readOnly: true },
        )
        await assertRefused(write, ['25006', '25001', 'forbidden'], text)
      }
    },
  },
]
