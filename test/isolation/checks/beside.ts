import assert from 'node:assert/strict'
import { assertNoTrace, assertRefused, type Check, outcomeOf } from '../support/check.ts'
import { inRoom, type World } from '../support/world.ts'

const NO = ['42501', 'forbidden']
/** Refused, or not there at all in this version or place. */
const NO_OR_NOT_THERE = [...NO, '42P01', '42883', '0A000', '42704', '42601', '22023', '55000']

const CATALOGUES = [
  'pg_stat_activity',
  'pg_stats',
  'pg_stats_ext',
  'pg_stats_ext_exprs',
  'pg_statistic',
  'pg_statistic_ext_data',
  'pg_stat_user_tables',
  'pg_stat_all_indexes',
  'pg_statio_user_tables',
  'pg_stat_database',
  'pg_stat_replication',
  'pg_locks',
  'pg_prepared_statements',
  'pg_prepared_xacts',
  'pg_cursors',
  'pg_largeobject',
  'pg_largeobject_metadata',
  'pg_file_settings',
  'pg_hba_file_rules',
  'pg_authid',
  'pg_shadow',
  'pg_user_mapping',
  'pg_backend_memory_contexts',
  'pg_subscription',
]

const FUNCTIONS = [
  'pg_terminate_backend(1)',
  'pg_cancel_backend(1)',
  'pg_advisory_lock(1)',
  'pg_advisory_lock_shared(1229868619, 1)',
  'pg_advisory_xact_lock(1229868619, 1)',
  'pg_try_advisory_lock(1)',
  'pg_try_advisory_xact_lock(1229868619, 1)',
  'pg_try_advisory_xact_lock_shared(1229868619, 1)',
  'pg_advisory_unlock(1)',
  'pg_advisory_unlock_all()',
  'pg_stat_get_activity(null)',
  `pg_stat_get_live_tuples('"{room}".customers'::regclass)`,
  'pg_stat_get_backend_activity(1)',
  'pg_stat_reset()',
  'pg_lock_status()',
  'pg_prepared_statement()',
  'pg_cursor()',
  'pg_blocking_pids(1)',
  `pg_relation_size('"{room}".customers')`,
  `pg_total_relation_size('"{room}".customers')`,
  'pg_database_size(current_database())',
  `pg_logical_emit_message(false, 'x', 'y')`,
  `pg_notify('innkeeper', 'x')`,
  'pg_export_snapshot()',
  'lo_create(0)',
  `lo_from_bytea(0, 'x')`,
  'lo_get(1)',
  'lo_open(1, 262144)',
  `lo_import('/etc/hostname')`,
  `lo_export(1, '/dev/null')`,
  `query_to_xml('select * from "{room}".customers', true, true, '')`,
  `query_to_xml('explain select * from "{room}".customers', true, true, '')`,
  `table_to_xml('"{room}".customers', true, true, '')`,
  `schema_to_xml('{plain}', true, true, '')`,
  `database_to_xml(true, true, '')`,
  `cursor_to_xml('x', 1, true, true, '')`,
  `pg_read_file('/etc/hostname')`,
  `pg_ls_dir('.')`,
  'pg_reload_conf()',
  'pg_rotate_logfile()',
]

const COMMANDS = [
  'truncate "{room}".tags cascade',
  'grant select on "{room}".tags to public',
  'revoke all on "{room}".tags from innkeeper_app',
  'alter table "{room}".tags disable row level security',
  'alter table "{room}".tags no force row level security',
  'alter table "{room}".tags owner to innkeeper_app',
  'drop policy innkeeper_tenant on "{room}".tags',
  'create policy mine on "{room}".tags using (true)',
  'drop table "{room}".tags',
  'create index on "{room}".tags (name)',
  'create function "{room}".mine() returns int language sql as $$ select 1 $$',
  'create view "{room}".mine as select 1',
  'create trigger mine after insert on "{room}".tags for each row execute function "{room}".count_deleted()',
  'create rule mine as on insert to "{room}".tags do also select 1',
  'create extension dblink',
  'create role mine',
  'alter role innkeeper_app superuser',
  'alter role innkeeper_app bypassrls',
  'alter database postgres set row_security = off',
  'alter system set row_security = off',
  'create database mine',
  'create publication mine for all tables',
  'vacuum "{room}".tags',
  'analyze "{room}".tags',
  'reindex table "{room}".tags',
  'cluster "{room}".tags',
  'comment on table "{room}".tags is $$x$$',
  `security label on table "{room}".tags is 'x'`,
  `do $$ begin perform 1; end $$`,
  `copy "{room}".customers to stdout`,
  `copy (select * from "{room}".customers) to stdout`,
  `copy "{room}".tags (name) from stdin`,
  `copy "{room}".customers to '/tmp/x'`,
  `copy "{room}".customers to program 'true'`,
  `copy "{room}".tags from '/etc/hostname'`,
  'set role innkeeper_owner',
  'set role innkeeper_tenancy',
  'set role innkeeper_trigger',
  'set role postgres',
  'set session authorization postgres',
  'set session authorization innkeeper_owner',
  `set session_replication_role = 'replica'`,
  'set local role innkeeper_owner',
  'reassign owned by innkeeper_owner to innkeeper_app',
  'call "{room}".count_deleted()',
  'refresh materialized view "{room}".customer_names',
  'import foreign schema x from server y into z',
]

const ROLE_SETTINGS: readonly (readonly [string, string])[] = [
  ['role', 'postgres'],
  ['role', 'innkeeper_owner'],
  ['role', 'innkeeper_tenancy'],
  ['role', 'innkeeper_trigger'],
  ['session_authorization', 'postgres'],
  ['session_authorization', 'innkeeper_owner'],
  ['session_replication_role', 'replica'],
  ['is_superuser', 'on'],
  ['session_preload_libraries', 'x'],
  ['dynamic_library_path', '/tmp'],
  ['log_statement', 'all'],
  ['lo_compat_privileges', 'on'],
  ['allow_system_table_mods', 'on'],
  ['zero_damaged_pages', 'on'],
]

const named = (text: string, { a }: World) => text.replaceAll('{plain}', a.placement.schema)

/** What row-level security does not stand in front of: the catalogue, the commands, the cascades. */
export const besideChecks: readonly Check[] = [
  {
    name: 'the catalogue tells nothing of other tenants’ statements, statistics and locks',
    rule: 'A7',
    async run(world) {
      const { a, b, inject } = world
      // Something to tell.
      await inject(b, `select count(*) from "{room}".customers where name like '${b.marker}%'`)
      for (const view of CATALOGUES) {
        const outcome = await assertRefused(inject(a, `select * from pg_catalog.${view}`), NO_OR_NOT_THERE, view)
        assertNoTrace(outcome, b, view)
      }
    },
  },
  {
    name: 'no number of the planner is to be had',
    rule: 'A7, EXPLAIN, reltuples, pg_stats',
    async run(world) {
      const { a, inject } = world
      for (const text of [
        `select reltuples from pg_class where relname = 'customers'`,
        'select max(relpages) from pg_class',
        'select relallvisible from pg_class limit 1',
        'select c from pg_class c limit 1',
        'select * from pg_class limit 1',
        'select to_jsonb(c) from pg_class c limit 1',
        'explain select * from "{room}".customers',
        'explain (format json) select * from "{room}".customers',
        'explain analyze select * from "{room}".customers',
      ]) {
        await assertRefused(inject(a, text), NO, text)
      }
      // What a driver or a tool needs of the catalogue stays.
      assert.equal(
        (await inject(a, `select relname from pg_class where oid = '"{room}".customers'::regclass`)).length,
        1,
      )
    },
  },
  {
    name: 'functions that reach past one’s own rows cannot be called',
    rule: 'A7',
    async run(world) {
      for (const call of FUNCTIONS) {
        const text = named(`select ${call}`, world)
        const outcome = await assertRefused(world.inject(world.a, text), NO_OR_NOT_THERE, text)
        assertNoTrace(outcome, world.b, text)
      }
    },
  },
  {
    name: 'commands that change rights, tables or roles, or that copy, are refused',
    rule: 'A7, TRUNCATE is never granted',
    async run({ a, b, inject }) {
      const codes = [...NO_OR_NOT_THERE, '42809', '25001', '42P17', '42P16', '2BP01', '3F000', 'outcome_unknown']
      for (const text of COMMANDS) {
        const outcome = await assertRefused(inject(a, text), codes, text)
        assertNoTrace(outcome, b, text)
        assert.notEqual(outcome.code, 'outcome_unknown', `${text} ended the connection`)
      }
    },
  },
  {
    name: 'no setting makes another role of the gateways’ login',
    rule: 'A1, set role, session authorization',
    async run(world) {
      const { a, b, interactive } = world
      for (const [setting, value] of ROLE_SETTINGS) {
        for (const local of [true, false]) {
          const read = interactive(a, async (run) => {
            await run('select set_config($1, $2, $3)', [setting, value, local])
            return run('select * from "{room}".customers')
          })
          const outcome = await assertRefused(
            read,
            [...NO_OR_NOT_THERE, '55P02', '42501', '28000'],
            `${setting} = ${value}`,
          )
          assertNoTrace(outcome, b, `${setting} = ${value}`)
        }
      }
    },
  },
  {
    name: 'row_security = off gives an error or one’s own rows, never others',
    rule: 'issue 2',
    async run({ a, b, interactive }) {
      const read = interactive(a, async (run) => {
        await run(`select set_config('row_security', 'off', true)`)
        return run('select * from "{room}".customers')
      })
      assertNoTrace(await assertRefused(read, ['42501'], 'row_security = off'), b, 'row_security = off')
    },
  },
  {
    name: 'a search path of the attacker’s changes no policy and no door',
    rule: 'A3, definer functions pin theirs',
    async run({ a, b, interactive }) {
      for (const path of [
        'pg_temp',
        'public, pg_temp, pg_catalog',
        b.placement.schema,
        'tenancy, pg_temp, pg_catalog',
        '',
      ]) {
        const outcome = await outcomeOf(
          interactive(a, async (run) => {
            await run(`select set_config('search_path', $1, true)`, [path])
            return [...(await run('select * from "{room}".customers')), ...(await run('select tenancy.tenant_id()'))]
          }),
        )
        assertNoTrace(outcome, b, path)
        assert.equal(outcome.rows?.length, 4, `with the path "${path}": ${outcome.text}`)
      }
    },
  },
  {
    name: 'a trigger that a cascade fires stays in its own tenant',
    rule: 'A7 (P: a cascade decremented another tenant’s row)',
    async run(world) {
      const { a, b, interactive, root } = world
      const deleted = async () =>
        Number(
          (
            await root(b).unsafe(inRoom('select deleted from "{room}".counters where tenant_id = $1', b), [b.tenant.id])
          )[0]!.deleted,
        )
      const before = await deleted()
      await interactive(a, async (run) => {
        await run(`insert into "{room}".tickets (id, customer_id, subject) values (77, $1, 'x')`, [a.id])
        await run(`insert into "{room}".comments (ticket_id, body) values (77, 'x'), (77, 'y')`)
        await run('delete from "{room}".tickets where id = 77')
        // It did run, for A.
        const [own] = await run('select deleted::int from "{room}".counters')
        assert.equal(own!.deleted, 2)
        await run('update "{room}".counters set deleted = 0')
      })
      assert.equal(await deleted(), before)
    },
  },
  {
    name: 'trigger functions belong to the role that owns nothing, and run with its rights',
    rule: 'A7',
    async run({ a, root }) {
      const rows = await root(a).unsafe(
        inRoom(
          `select p.proowner::regrole::text as owner, p.prosecdef as definer, p.proconfig::text as config
           from pg_proc p where p.oid = '"{room}".count_deleted'::regproc`,
          a,
        ),
      )
      assert.equal(rows[0]!.owner, 'innkeeper_trigger')
      assert.equal(rows[0]!.definer, true)
      assert.match(rows[0]!.config, /search_path=.*pg_temp/)
      const [role] = await root(a)`select rolcanlogin, rolbypassrls, rolsuper,
        (select count(*)::int from pg_class where relowner = r.oid) as tables,
        (select count(*)::int from pg_auth_members where member = r.oid) as memberships
        from pg_roles r where rolname = 'innkeeper_trigger'`
      assert.deepEqual(
        { ...role },
        { rolcanlogin: false, rolbypassrls: false, rolsuper: false, tables: 0, memberships: 0 },
      )
    },
  },
  {
    name: 'the gateways’ login is an ordinary role that owns nothing',
    rule: 'A7',
    async run({ a, root }) {
      const [role] = await root(a)`select rolbypassrls, rolsuper, rolcreaterole, rolcreatedb, rolreplication,
        (select count(*)::int from pg_class where relowner = r.oid) as tables,
        (select count(*)::int from pg_auth_members where member = r.oid) as memberships
        from pg_roles r where rolname = current_setting('innkeeper.app', true) or rolname = 'innkeeper_app'`
      assert.deepEqual(
        { ...role },
        {
          rolbypassrls: false,
          rolsuper: false,
          rolcreaterole: false,
          rolcreatedb: false,
          rolreplication: false,
          tables: 0,
          memberships: 0,
        },
      )
    },
  },
  {
    name: 'every table of a room is forced behind the one policy, and every view runs as its caller',
    rule: 'A7',
    async run({ a, root }) {
      const open = await root(a)`
        select c.relname from pg_class c where c.relnamespace = ${a.placement.schema}::regnamespace and c.relkind in ('r', 'p')
          and c.relname <> 'countries' and not (c.relrowsecurity and c.relforcerowsecurity and
            (select count(*) = 1 from pg_policy p where p.polrelid = c.oid and p.polname = 'innkeeper_tenant'
              and pg_get_expr(p.polqual, p.polrelid) = pg_get_expr(p.polwithcheck, p.polrelid)
              and pg_get_expr(p.polqual, p.polrelid) ~ '^\\(tenant_id = \\( SELECT tenancy.tenant_id\\(\\) AS tenant_id\\)\\)$'))
        union all
        select c.relname from pg_class c where c.relnamespace = ${a.placement.schema}::regnamespace and c.relkind = 'v'
          and not coalesce(c.reloptions @> array['security_invoker=true'], false)`
      assert.deepEqual(
        open.map((r) => r.relname),
        [],
      )
    },
  },
]
