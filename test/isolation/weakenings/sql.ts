import assert from 'node:assert/strict'
import type { AdminSql } from '../../../tiers/pg/admin.ts'
import type { WorldFacts } from '../support/world.ts'

/** One thing that is missing or wrong in a database, and a check that finds it soon. */
export interface SqlWeakening {
  readonly name: string
  /** Run first; the others follow where this one lets it through. */
  readonly check: string
  /** By the superuser, in a database of its own that holds both tenants' shared room. */
  apply(sql: AdminSql): Promise<unknown>
  /** For what belongs to the server and not to the database. */
  undo?(sql: AdminSql): Promise<unknown>
  /** How the gateway is set up otherwise. */
  facts?(facts: WorldFacts): WorldFacts
}

const ROWS = 'no table shows a row of another tenant'
const PLANTED = 'no row can be written into another tenant'
const FORGED = 'a forged ticket opens nothing'
const EVERY_TABLE = 'every table of a room is forced behind the one policy, and every view runs as its caller'

const run =
  (...texts: string[]) =>
  async (sql: AdminSql) => {
    for (const text of texts) await sql.unsafe(text)
  }

/** Changes the real text of functions; fails where the text is not what the weakening was written for. */
const rewrite =
  (changes: Readonly<Record<string, readonly (readonly [string | RegExp, string])[]>>) => async (sql: AdminSql) => {
    for (const [name, replacements] of Object.entries(changes)) {
      const [row] = await sql<{ text: string }[]>`
      select pg_get_functiondef(oid) as text from pg_proc where proname = ${name} and pronamespace = 'tenancy'::regnamespace`
      let text = row!.text
      for (const [from, to] of replacements) {
        const changed = text.replaceAll(typeof from === 'string' ? from : new RegExp(from, 'g'), () => to)
        assert.notEqual(changed, text, `tenancy.${name} does not hold ${from}: write the weakening anew`)
        text = changed
      }
      await sql.unsafe(text)
    }
  }

const both = (from: string | RegExp, to: string) => rewrite({ enter: [[from, to]], tenant_id: [[from, to]] })

export const SQL_WEAKENINGS: readonly SqlWeakening[] = [
  {
    name: 'row-level security is off on one table',
    check: ROWS,
    apply: run('alter table app.comments disable row level security'),
  },
  {
    name: 'a policy is dropped and another lets all through',
    check: ROWS,
    apply: run('drop policy innkeeper_tenant on app.tags', 'create policy other on app.tags using (true)'),
  },
  {
    name: 'a policy says using (true)',
    check: ROWS,
    apply: run('alter policy innkeeper_tenant on app.tickets using (true)'),
  },
  {
    name: 'a policy says with check (true)',
    check: PLANTED,
    apply: run('alter policy innkeeper_tenant on app.tags with check (true)'),
  },
  {
    name: 'a second, permissive policy',
    check: ROWS,
    apply: run('create policy extra on app.customers for select using (true)'),
  },
  {
    name: 'a policy reads the raw setting',
    check: 'changing the tenant setting is found out',
    apply: run(
      `alter policy innkeeper_tenant on app.customers using (tenant_id = current_setting('tenancy.tenant')::uuid)`,
    ),
  },
  {
    name: 'a table is not forced',
    check: 'the owner of the tables is held by the policies too',
    apply: run('alter table app.customers no force row level security'),
  },
  {
    name: 'tables are not forced, and gateways log in as their owner',
    check: ROWS,
    apply: async (sql) => {
      const tables =
        await sql`select oid::regclass::text as name from pg_class where relnamespace = 'app'::regnamespace and relforcerowsecurity`
      for (const { name } of tables) await sql.unsafe(`alter table ${name} no force row level security`)
      await run(
        `alter role innkeeper_owner login password 'owner-secret'`,
        `grant execute on all functions in schema tenancy to innkeeper_owner`,
        `do $$ begin execute format('grant connect on database %I to innkeeper_owner', current_database()); end $$`,
      )(sql)
    },
    undo: run('alter role innkeeper_owner nologin password null'),
    facts: (facts) => ({
      ...facts,
      env: {
        ...facts.env,
        INNKEEPER_US_1_URL: facts.env.INNKEEPER_US_1_URL!.replace(
          'innkeeper_app:app-secret',
          'innkeeper_owner:owner-secret',
        ),
      },
    }),
  },
  {
    name: 'BYPASSRLS on the gateways’ login',
    check: ROWS,
    apply: run('alter role innkeeper_app bypassrls'),
    undo: run('alter role innkeeper_app nobypassrls'),
  },
  {
    name: 'the gateways’ login is a member of the owner',
    check: 'no setting makes another role of the gateways’ login',
    apply: run('grant innkeeper_owner to innkeeper_app'),
    undo: run('revoke innkeeper_owner from innkeeper_app'),
  },
  {
    name: 'the context is set for the session',
    check: 'a context ends with its transaction',
    apply: rewrite({
      enter: [[`set_config('tenancy.tenant', tenant, true)`, `set_config('tenancy.tenant', tenant, false)`]],
    }),
  },
  {
    name: 'the context is not checked',
    check: 'changing the tenant setting is found out',
    apply: rewrite({
      tenant_id: [[/if substr\(context, 1, 64\) = [\s\S]*? then\n/, `if tenant <> '' and context <> '' then\n`]],
    }),
  },
  {
    name: 'the context does not hold the process id',
    check: 'a context holds on the backend that entered and on no other',
    apply: both('int4send(pg_backend_pid()) || ', ''),
  },
  {
    name: 'the context does not hold the transaction’s time',
    check: 'a context of an earlier transaction is worth nothing in a later one',
    apply: both('timestamptz_send(transaction_timestamp()) || ', ''),
  },
  {
    name: 'the context does not hold the claims',
    check: 'claims are those of the gateway, or an error',
    apply: both(/int4send\(octet_length\(claims\)\)\s*\|\| convert_to\(claims \|\| /, 'convert_to('),
  },
  {
    name: 'the context does not hold the tenant',
    check: 'changing the tenant setting is found out',
    apply: both('claims || tenant || ', 'claims || '),
  },
  {
    name: 'the context does not hold epoch and flags',
    check: 'the epoch and flags in a context cannot be changed',
    apply: rewrite({
      enter: [['tenant || door.marks', 'tenant']],
      tenant_id: [['tenant || substr(context, 65)', 'tenant']],
    }),
  },
  {
    name: 'no context is no error but nobody',
    check: 'without a context there is an error, never an empty answer',
    apply: rewrite({ tenant_id: [[/raise exception using errcode = 'IK020'[\s\S]*?around it\.';/, 'return null;']] }),
  },
  {
    name: 'the ticket’s code is not checked',
    check: FORGED,
    apply: rewrite({ enter: [[/genuine := [^;]*;/, 'genuine := true;']] }),
  },
  {
    name: 'a ticket without a code passes as unknown',
    check: FORGED,
    apply: rewrite({ enter: [['if genuine and locked', 'if genuine is not false and locked']] }),
  },
  {
    name: 'the ticket’s deadline is not checked',
    check: 'a ticket past its deadline opens nothing',
    apply: rewrite({ enter: [[/date_part\('epoch', clock_timestamp\(\)\) < split_part\([^)]*\)::float8/, 'true']] }),
  },
  {
    name: 'a second tenant may enter',
    check: 'a second tenant cannot enter the same transaction, not even with a right ticket',
    apply: rewrite({
      enter: [[/and coalesce\(current_setting\('tenancy\.tenant', true\), ''\) in \('', tenant\)/, '']],
    }),
  },
  {
    name: 'the lock is not taken',
    check: 'while a mover holds the lock, entering is refused at once and nobody queues',
    apply: rewrite({ enter: [['pg_try_advisory_xact_lock_shared(1229868619, uuid_hash(tenant::uuid))', 'true']] }),
  },
  {
    name: 'the lock is waited for',
    check: 'while a mover holds the lock, entering is refused at once and nobody queues',
    apply: async (sql) => {
      await sql.unsafe('grant execute on function pg_advisory_xact_lock_shared(int, int) to innkeeper_tenancy')
      await rewrite({
        enter: [['pg_try_advisory_xact_lock_shared(', 'null is null from pg_advisory_xact_lock_shared(']],
      })(sql)
    },
  },
  {
    name: 'the lock is let go before the transaction ends',
    check: 'a mover that waits for the lock is not overtaken',
    apply: async (sql) => {
      await sql.unsafe(
        'grant execute on function pg_try_advisory_lock_shared(int, int), pg_advisory_unlock_shared(int, int) to innkeeper_tenancy',
      )
      await rewrite({
        enter: [
          ['pg_try_advisory_xact_lock_shared(', 'pg_try_advisory_lock_shared('],
          [
            '    return;\n',
            '    perform pg_advisory_unlock_shared(1229868619, uuid_hash(tenant::uuid));\n    return;\n',
          ],
        ],
      })(sql)
    },
  },
  {
    name: 'the fence is read before the lock is taken',
    check: 'who was let in before the fence changed has left before the mover goes on',
    apply: rewrite({
      enter: [
        [/locked boolean := [^;]*;/, 'locked boolean;'],
        // The pause is only so that the race is lost each time.
        [
          '  genuine := ',
          '  perform pg_sleep(0.3);\n  locked := pg_try_advisory_xact_lock_shared(1229868619, uuid_hash(tenant::uuid));\n  genuine := ',
        ],
      ],
    }),
  },
  {
    name: 'the fence’s epoch is not looked at',
    check: 'another epoch than the fence’s is refused by the database',
    apply: rewrite({ enter: [[/ and door\.epoch = split_part\([^)]*\)::bigint/, '']] }),
  },
  {
    name: 'the fence’s state is not looked at',
    check: 'a fenced tenant is refused, with a code of its own',
    apply: rewrite({ enter: [[` and door.state = 'open'`, '']] }),
  },
  {
    name: 'the fence is not locked at repeatable read',
    check: 'at repeatable read and above, a fence that changed after the snapshot is noticed',
    apply: rewrite({ enter: [[' for share', '']] }),
  },
  {
    name: 'a dirty session is let in',
    check: 'a tenant’s poison does not cost the next one its request',
    apply: rewrite({
      enter: [
        [
          /and current_setting\('transaction_read_only'\) = 'off'\s+and current_setting\('transaction_isolation'\) = substr\(mode, 4\)/,
          '',
        ],
      ],
    }),
  },
  {
    name: 'read-only is not set',
    check: 'a read-only transaction stays one',
    apply: rewrite({ enter: [[`set_config('transaction_read_only', 'on', true)`, `''`]] }),
  },
  {
    name: 'tables may be made for a session',
    check: 'no tenant gets a schema or a table of its own making',
    apply: run(`do $$ begin execute format('grant temp on database %I to innkeeper_app', current_database()); end $$`),
  },
  {
    name: 'the keys can be read',
    check: 'the keys, the fence and the doors’ own functions are out of reach',
    apply: run('grant select on tenancy.context_key to innkeeper_app'),
  },
  {
    name: 'the fence can be written',
    check: 'the keys, the fence and the doors’ own functions are out of reach',
    apply: run('grant select, update on tenancy.fence to innkeeper_app'),
  },
  {
    name: 'a unique key without tenant_id',
    check: 'a unique value of another tenant is free',
    apply: run('alter table app.agents add constraint everyone unique (email)'),
  },
  {
    name: 'a unique key with tenant_id beside it and not in it',
    check: 'a unique value of another tenant is free',
    apply: run('create unique index everyone on app.tags (name) include (tenant_id)'),
  },
  {
    name: 'a foreign key without tenant_id',
    check: 'a foreign key does not reach a row of another tenant',
    apply: run(
      'alter table app.customers add constraint id_alone unique (id)',
      'alter table app.tickets drop constraint tickets_customer_id_fkey',
      'alter table app.tickets add constraint tickets_customer_id_fkey foreign key (customer_id) references app.customers (id)',
    ),
  },
  {
    name: 'a trigger function belongs to the owner of the tables',
    check: 'a trigger that a cascade fires stays in its own tenant',
    apply: run('alter function app.count_deleted() owner to innkeeper_owner'),
  },
  {
    name: 'a view runs with its owner’s rights',
    check: 'views and SQL functions see what their caller sees',
    apply: run(
      'alter view app.customer_names owner to postgres',
      'alter view app.customer_names set (security_invoker = false)',
    ),
  },
  {
    name: 'a function runs with its owner’s rights',
    check: 'views and SQL functions see what their caller sees',
    apply: run(
      'alter function app.all_customer_names() owner to postgres',
      'alter function app.all_customer_names() security definer',
    ),
  },
  {
    name: 'advisory locks for everyone',
    check: 'functions that reach past one’s own rows cannot be called',
    apply: run('grant execute on function pg_advisory_xact_lock(int, int) to public'),
  },
  {
    name: 'everyone may end a session',
    check: 'functions that reach past one’s own rows cannot be called',
    apply: run('grant execute on function pg_terminate_backend(int, bigint) to public'),
  },
  {
    name: 'others’ statements can be read',
    check: 'the catalogue tells nothing of other tenants’ statements, statistics and locks',
    apply: run(
      'grant select on pg_stat_activity to public',
      'grant execute on function pg_stat_get_activity(int) to public',
    ),
  },
  {
    name: 'the planner’s statistics can be read',
    check: 'the catalogue tells nothing of other tenants’ statements, statistics and locks',
    apply: run('grant select on pg_statistic to public'),
  },
  {
    name: 'the planner’s numbers can be read',
    check: 'no number of the planner is to be had',
    apply: run('grant select (reltuples) on pg_class to public'),
  },
  {
    name: 'sequences can be read',
    check: 'the numbers of another tenant’s inserts are not in the session',
    apply: run('grant select on app.tags_id_seq to innkeeper_app'),
  },
  {
    name: 'a reference table can be written',
    check: 'a reference table is read by all and written by none',
    apply: run('grant insert on app.countries to innkeeper_app'),
  },
  {
    name: 'a migration is not followed by protection',
    check: EVERY_TABLE,
    apply: run(
      'create table app.forgotten (tenant_id uuid not null, id int, primary key (tenant_id, id))',
      'grant select on app.forgotten to innkeeper_app',
    ),
  },
]
