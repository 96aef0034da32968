import assert from 'node:assert/strict'
import { setTimeout as sleep } from 'node:timers/promises'
import { assertNoTrace, assertRefused, type Check, outcomeOf } from '../support/check.ts'
import type { Rows } from '../support/world.ts'

/** What the data layer itself has to hold, whatever the database does. */
export const interfaceChecks: readonly Check[] = [
  {
    name: 'one message holds one statement',
    rule: 'A2, extended protocol only',
    async run({ a, b, inject, interactive }) {
      for (const text of [
        'select 1; select 2',
        'select 1; commit; begin; select * from "{room}".customers',
        `select 1; set role innkeeper_owner`,
        `select 1; alter role innkeeper_app set timezone = 'Asia/Tokyo'`,
        `select set_config('x.y', '1', true); select * from "{room}".customers`,
      ]) {
        assertNoTrace(await assertRefused(inject(a, text), ['42601'], text), b, text)
        await assertRefused(
          interactive(a, (run) => run(text)),
          ['42601'],
          text,
        )
      }
    },
  },
  {
    name: 'code that works for one tenant cannot reach for another',
    rule: 'issue 2, tenant_switch',
    async run({ a, b, tenants }) {
      const read = async (): Promise<Rows> =>
        (await tenants.session(b.tenant.id).execute({ text: 'select 1', params: [] })).rows
      const inScope = (work: () => Promise<Rows>) => tenants.scope(a.tenant, work)
      await assertRefused(inScope(read), ['tenant_switch'], 'another tenant’s session in a scope')
      await assertRefused(
        inScope(async () => {
          await sleep(1)
          return tenants.scope(b.tenant, async () => [])
        }),
        ['tenant_switch'],
        'another tenant’s scope in a scope',
      )
      await assertRefused(
        inScope(() => new Promise((resolve, reject) => setTimeout(() => read().then(resolve, reject), 1))),
        ['tenant_switch'],
        'another tenant in a timer of a scope',
      )
      await assertRefused(
        outcomeOf(
          Promise.resolve().then(() =>
            tenants
              .db()
              .execute('select 1')
              .then((r) => r.rows as Rows),
          ),
        ).then((o) => {
          if (o.code !== null) throw Object.assign(new Error(o.text), { code: o.code })
          return o.rows!
        }),
        ['no_tenant'],
        'a database outside every scope',
      )
    },
  },
  {
    name: 'an answer of the directory that is another tenant’s opens no room',
    rule: 'DESIGN, caches',
    async run(world) {
      const { a, b, inject, interactive, placements } = world
      if (world.directory) return
      const text = 'select * from "{room}".customers'
      placements.set(a.tenant.id, { ...b.tenant, placement: b.placement })
      try {
        for (const read of [() => inject(a, text), () => interactive(a, (run) => run(text))]) {
          assertNoTrace(await assertRefused(read(), ['internal'], 'another tenant’s placement'), b, 'the answer')
        }
      } finally {
        placements.set(a.tenant.id, { ...a.tenant, placement: a.placement })
      }
    },
  },
  {
    name: 'interleaved work of two tenants never mixes',
    rule: 'issue 2',
    async run({ a, b, inject, interactive }) {
      const text = 'select name, pg_backend_pid() as pid from "{room}".customers'
      await Promise.all(
        Array.from({ length: 40 }, async (_, n) => {
          const [mine, other] = n % 2 === 0 ? [a, b] : [b, a]
          const rows =
            n % 3 === 0
              ? await interactive(mine, async (run) => [...(await run(text)), ...(await run(text))])
              : await inject(mine, text)
          assert.equal(rows.length, n % 3 === 0 ? 6 : 3)
          for (const row of rows)
            assert.ok(String(row.name).startsWith(mine.marker) && !String(row.name).includes(other.marker))
        }),
      )
    },
  },
]
