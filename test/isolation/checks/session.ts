import assert from 'node:assert/strict'
import { appLogin, installRoles } from '../../../tiers/tenancy/roles.ts'
import { assertNoTrace, assertRefused, type Check, outcomeOf } from '../support/check.ts'
import { CLUSTER } from '../support/lab.ts'
import type { Party, World } from '../support/world.ts'

const PID = 'select pg_backend_pid() as pid'
const pidOf = async ({ inject }: World, party: Party) => Number((await inject(party, PID))[0]!.pid)

const SETTINGS: readonly (readonly [string, string])[] = [
  ['datestyle', 'SQL, DMY'],
  ['timezone', 'Asia/Tokyo'],
  ['intervalstyle', 'sql_standard'],
  ['search_path', 'pg_temp, pg_catalog'],
  ['statement_timeout', '1'],
  ['lock_timeout', '1'],
  ['idle_in_transaction_session_timeout', '1'],
  ['default_transaction_read_only', 'on'],
  ['default_transaction_isolation', 'serializable'],
  ['default_transaction_deferrable', 'on'],
  ['row_security', 'off'],
  ['bytea_output', 'escape'],
  ['extra_float_digits', '-15'],
  ['standard_conforming_strings', 'off'],
  ['client_encoding', 'LATIN1'],
  ['enable_indexscan', 'off'],
  ['work_mem', '64kB'],
  ['transform_null_equals', 'on'],
  ['xmloption', 'document'],
  ['tenancy.tenant', '00000000-0000-7000-8000-000000000000'],
  ['tenancy.context', 'x.1.0'],
  ['request.jwt.claims', '{"role":"admin"}'],
]

/** Commands that leave something behind in a session. Each is refused, and the session with it. */
const LEAVINGS = [
  `prepare leftover as select 1`,
  'deallocate all',
  'listen innkeeper',
  'unlisten *',
  'notify innkeeper',
  'begin',
  'commit',
  'rollback',
  'commit and chain',
  'savepoint mine',
  `set timezone = 'Asia/Tokyo'`,
  `set session datestyle = 'SQL'`,
  'set local row_security = off',
  'reset all',
  'set constraints all deferred',
  'discard plans',
  'show timezone',
  'checkpoint',
  "load '$libdir/plpgsql'",
  'explain select * from "{room}".customers',
  'explain analyze select * from "{room}".customers',
  'lock table "{room}".customers in access share mode',
  'declare leftover cursor for select * from "{room}".customers',
]

async function restoreLogin({ a, root, config }: World): Promise<void> {
  const sql = root(a)
  const login = appLogin(config.regions.get('us')!.secrets!.clusters.get(CLUSTER)!.url)
  await sql.unsafe(`alter role innkeeper_app reset all`)
  await sql.unsafe(`alter role innkeeper_app in database ${a.placement.database} reset all`)
  await sql.unsafe(`alter role innkeeper_app valid until 'infinity'`)
  await installRoles(sql, login)
}

/** One backend serves many tenants: what A leaves in its session must not be there for B. */
export const sessionChecks: readonly Check[] = [
  {
    name: 'settings that a tenant leaves are gone for the next',
    rule: 'A3, RESET ALL',
    async run(world) {
      const { a, b, inject } = world
      for (const [setting, value] of SETTINGS) {
        await outcomeOf(inject(a, `select set_config($1, $2, false)`, [setting, value]))
        // B's first statement after it, an ordinary one: right, and not refused.
        const rows = await inject(
          b,
          `select current_setting('${setting}', true) as value,
          timestamptz '2026-01-02 03:04:05+00' as at, count(*)::int as n from "{room}".customers`,
        )
        assert.equal(rows[0]!.n, 3, setting)
        assert.notEqual(rows[0]!.value, value, `${setting} was left behind`)
        assert.deepEqual(rows[0]!.at, new Date('2026-01-02T03:04:05Z'), setting)
        await inject(b, `update "{room}".tags set name = name`)
      }
    },
  },
  {
    name: 'settings left in a transaction that fails or is cut off are gone too',
    rule: 'A3',
    async run(world) {
      const { a, b, inject, interactive } = world
      for (const last of ['select 1/0', 'commit', 'rollback']) {
        await interactive(a, async (run) => {
          await run(
            `select set_config('timezone', 'Asia/Tokyo', false), set_config('default_transaction_read_only', 'on', false)`,
          )
          await run(last)
        }).catch(() => {})
        assert.deepEqual(await inject(b, `select current_setting('timezone') as zone`), [{ zone: 'UTC' }], last)
        await inject(b, `update "{room}".tags set name = name`)
      }
    },
  },
  {
    name: 'a command that is not a statement is refused before it is sent',
    rule: 'A3; its tag comes after it took effect',
    async run(world) {
      const { a, inject, interactive } = world
      const hidden = ['/* select */ ', '-- select\n', '--\r', '/* /* */ */', ' \n\t(', '(/* x */']
      for (const command of LEAVINGS) {
        for (const before of ['', ...hidden.slice(0, command === 'begin' ? 6 : 1)]) {
          const text = before + command
          const pid = await pidOf(world, a)
          await assertRefused(inject(a, text), ['forbidden'], text)
          await assertRefused(
            interactive(a, async (run) => [...(await run(PID)), ...(await run(text))]),
            ['forbidden'],
            `${text} in a transaction`,
          )
          assert.equal(await pidOf(world, a), pid, `${text} reached the server`)
        }
      }
      for (const text of [
        '-- x\n select 1 as one',
        '/* /* x */ */ (select 1 as one)',
        'values (1)',
        'with x as (select 1) table x',
      ]) {
        assert.equal((await inject(a, text)).length, 1, text)
      }
    },
  },
  {
    name: 'the gateways’ login cannot be changed by those who use it',
    rule: 'A3; ALTER ROLE of oneself needs no right',
    async run(world) {
      const { a, inject, root } = world
      const state = async () => {
        const [row] = await root(a)`select rolvaliduntil,
          (select jsonb_agg(setconfig order by setdatabase) from pg_db_role_setting where setrole = r.oid) as settings,
          md5(rolpassword) as password from pg_authid r where rolname = 'innkeeper_app'`
        return JSON.stringify(row)
      }
      const before = await state()
      for (const text of [
        `alter role innkeeper_app set default_transaction_read_only = on`,
        `alter role current_user set search_path = 'x'`,
        `alter user innkeeper_app in database ${a.placement.database} set row_security = off`,
        `/* select */ alter role session_user set statement_timeout = 1`,
        `--\ralter role innkeeper_app password 'mine'`,
        `alter role innkeeper_app valid until 'yesterday'`,
        `alter role innkeeper_app reset all`,
      ]) {
        const outcome = await outcomeOf(inject(a, text))
        const after = await state()
        // Undone, since what was changed would hold for every tenant of the server, and for every check after this.
        if (after !== before) await restoreLogin(world)
        assert.equal(after, before, text)
        assert.ok(outcome.code !== null, `${text} was not refused`)
      }
    },
  },
  {
    name: 'a prepared statement that a tenant plants is not run for another',
    rule: 'A3 (P: DEALLOCATE and PREPARE made B’s Bind run A’s text)',
    async run(world) {
      const { a, b, inject, interactive } = world
      const texts = ['select name from "{room}".tags', 'select name from "{room}".agents']
      for (const text of texts) await inject(b, text)
      for (let n = 1; n <= 8; n++) {
        await outcomeOf(inject(a, `deallocate s${n}`))
        await outcomeOf(
          interactive(a, async (run) => {
            await run(`deallocate s${n}`)
            return run(`prepare s${n} as select 'planted' as name`)
          }),
        )
      }
      for (const text of texts) assert.match(String((await inject(b, text))[0]!.name), new RegExp(`^${b.marker}`))
    },
  },
  {
    name: 'a statement text of another tenant on the same session cannot be run by its name',
    rule: 'A7, no literals in statement texts',
    async run(world) {
      const { a, b, inject } = world
      // An application that writes a value into its text: the text lives in the session as a prepared statement.
      await inject(b, `select '${b.marker} literal' as literal`)
      for (let n = 1; n <= 40; n++) {
        const text = `execute s${n}`
        assertNoTrace(await outcomeOf(inject(a, text)), b, text)
        const [known] = await inject(b, PID)
        assert.ok(known)
        await inject(b, `select '${b.marker} literal' as literal`)
      }
    },
  },
  {
    name: 'cursors, temporary tables and notifications of a tenant do not reach another',
    rule: 'A3',
    async run(world) {
      const { a, b, inject, interactive } = world
      for (const text of [
        'declare leftover cursor with hold for select * from "{room}".customers',
        'create temp table left_rows as select * from "{room}".customers',
        'create temporary table left_rows (x text)',
        'select * into temp left_rows from "{room}".customers',
        'create temp view left_rows as select 1',
        'listen left_channel',
      ]) {
        await assertRefused(inject(b, text), ['42501', 'forbidden', '0A000'], text)
        await outcomeOf(interactive(b, (run) => run(text)))
      }
      for (const text of [
        'fetch all from leftover',
        'select * from left_rows',
        'select * from pg_temp.left_rows',
        'close leftover',
      ]) {
        const outcome = await outcomeOf(inject(a, text))
        assert.ok(outcome.code !== null, `${text} was not refused`)
        assertNoTrace(outcome, b, text)
      }
    },
  },
  {
    name: 'no tenant gets a schema or a table of its own making',
    rule: 'A3, no TEMP privilege',
    async run({ a, inject, root }) {
      const [rights] = await root(a)`select has_database_privilege('innkeeper_app', current_database(), 'temp') as temp,
        has_database_privilege('innkeeper_app', current_database(), 'create') as create,
        has_schema_privilege('innkeeper_app', ${a.placement.schema}, 'create') as room,
        has_schema_privilege('innkeeper_app', 'public', 'create') as public`
      assert.deepEqual({ ...rights }, { temp: false, create: false, room: false, public: false })
      for (const text of [
        'create table "{room}".mine (x int)',
        'create schema mine',
        'create table public.mine (x int)',
      ]) {
        await assertRefused(inject(a, text), ['42501', 'forbidden'], text)
      }
    },
  },
  {
    name: 'the numbers of another tenant’s inserts are not in the session',
    rule: 'A7, no grants on sequences',
    async run(world) {
      const { a, b, inject, interactive } = world
      await interactive(b, async (run) => {
        await run(`insert into "{room}".tags (name) values ('for a moment')`)
        await run(`delete from "{room}".tags where name = 'for a moment'`)
      })
      for (const text of [
        'select lastval()',
        `select currval('"{room}".tags_id_seq')`,
        'select * from "{room}".tags_id_seq',
        `select nextval('"{room}".tags_id_seq')`,
        `select setval('"{room}".tags_id_seq', 1)`,
      ]) {
        await assertRefused(inject(a, text), ['42501', '55000'], text)
      }
    },
  },
  {
    name: 'a tenant’s poison does not cost the next one its request',
    rule: 'A3, a dirty session is found and left',
    async run(world) {
      const { a, b, inject, interactive, tenants } = world
      for (const [setting, value] of [
        ['default_transaction_read_only', 'on'],
        ['default_transaction_isolation', 'repeatable read'],
        ['default_transaction_isolation', 'serializable'],
      ]) {
        await inject(a, 'select set_config($1, $2, false)', [setting, value])
        await inject(b, `update "{room}".tags set name = name`)
        await inject(a, 'select set_config($1, $2, false)', [setting, value])
        await interactive(b, (run) => run(`update "{room}".tags set name = name`))
        await inject(a, 'select set_config($1, $2, false)', [setting, value])
        const level = await tenants
          .session(b.tenant.id)
          .transaction((tx) => tx.execute({ text: 'show transaction_isolation', params: [] }))
          .catch(() => null)
        assert.equal(level, null)
        assert.deepEqual(await inject(b, `select current_setting('transaction_isolation') as level`), [
          { level: 'read committed' },
        ])
      }
      // What is cut off leaves its transaction as it was.
      const signal = AbortSignal.timeout(50)
      const cutOff = interactive(a, (run) => run('select pg_sleep(5)'), { signal })
      await assertRefused(cutOff, ['client_closed_request'], 'a statement that was cut off')
      await inject(b, `update "{room}".tags set name = name`)
    },
  },
]
