import { readFile } from 'node:fs/promises'
import type { AddressInfo } from 'node:net'
import { serve } from '@hono/node-server'
import { PostgrestClient } from '@supabase/postgrest-js'
import { Hono } from 'hono'
import pg from 'pg'
import { type RestRoom, restApi } from '../../gateway/rest/app.ts'
import { loadCatalogue } from '../../gateway/rest/catalogue/load.ts'
import type { Catalogue } from '../../gateway/rest/catalogue/types.ts'
import { type QueryResult, ROOM_IDENTIFIER, type SqlQuery } from '../../tiers/types.ts'
import { type PostgresVersion, startTestPostgres } from '../support/postgres.ts'

export const ACME = '01890a5d-ac96-774b-bcce-b302099a8057'
export const RIVAL = '01890a5d-ac96-774b-bcce-b302099a8058'
const SCHEMA = 'room_b7'
const SETUP = `
  create role desk_owner nologin;
  create role desk_app login password 'desk';
  alter role desk_app set timezone to utc;
  grant create on database postgres to desk_owner`

/** The data API over a help desk in a real database, one statement log and a switch between two tenants. */
export interface Desk {
  readonly url: string
  readonly client: PostgrestClient
  readonly catalogue: Catalogue
  /** Statements that the API ran since the last time this was emptied. */
  readonly statements: SqlQuery[]
  /** The tier's ceiling, for the requests that follow. */
  maxRows: number
  tenant: string
  fetch(path: string, init?: RequestInit): Promise<Response>
  /** Runs SQL as the owner of the tables, in the tenant's context. */
  sql(text: string, params?: unknown[], tenant?: string): Promise<Record<string, unknown>[]>
  /** Empties every table of both tenants and puts the given rows in. */
  seed(sql: string): Promise<void>
  close(): Promise<void>
}

export async function openDesk(version: PostgresVersion = 18): Promise<Desk> {
  const postgres = await startTestPostgres({ version })
  const owner = new pg.Pool({ connectionString: postgres.server.url(), max: 2 })
  await owner.query(SETUP)
  const ddl = (await readFile(new URL('help-desk.sql', import.meta.url), 'utf8')).replaceAll(ROOM_IDENTIFIER, SCHEMA)
  // The owner of the tables is no superuser, so that row-level security binds it too.
  await owner.query(`set role desk_owner; ${ddl}; reset role`)
  const app = new pg.Pool({ connectionString: postgres.server.url('postgres', 'desk_app', 'desk'), max: 4 })

  const statements: SqlQuery[] = []
  const run = async (
    tenant: string,
    query: SqlQuery,
    options: { readOnly: boolean; check?: (result: QueryResult) => void },
  ): Promise<QueryResult> => {
    statements.push(query)
    const connection = await app.connect()
    try {
      await connection.query(`begin ${options.readOnly ? 'read only' : ''}`)
      await connection.query(`select set_config('test.tenant', $1, true)`, [tenant])
      const text = query.text.replaceAll(ROOM_IDENTIFIER, `"${SCHEMA}"`)
      const { rows, rowCount, fields, command } = await connection.query(text, [...query.params])
      const result = { rows, rowCount: rowCount ?? 0, fields, command }
      options.check?.(result)
      await connection.query('commit')
      return result
    } catch (error) {
      await connection.query('rollback')
      throw error
    } finally {
      connection.release()
    }
  }

  const desk: Pick<Desk, 'maxRows' | 'tenant'> = { maxRows: 1000, tenant: ACME }
  const catalogue = await loadCatalogue((query) => run(ACME, query, { readOnly: true }), SCHEMA)
  const room = (): RestRoom => ({
    run: (query, options) => run(desk.tenant, query, options),
    catalogue: async () => catalogue,
    maxRows: desk.maxRows,
  })
  const api = new Hono().route('/rest/v1', restApi(room))
  api.onError((error, c) => c.json({ code: 'gateway', message: String(error) }, 500))
  const server = serve({ fetch: api.fetch, port: 0, hostname: '127.0.0.1' })
  await new Promise<void>((resolve) => server.once('listening', resolve))
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/rest/v1`

  const sql: Desk['sql'] = async (text, params = [], tenant = ACME) => {
    const connection = await owner.connect()
    try {
      await connection.query(`set role desk_owner; set search_path to ${SCHEMA}; set test.tenant to '${tenant}'`)
      const { rows } = await connection.query(text, params)
      return rows
    } finally {
      await connection.query('reset all; reset role')
      connection.release()
    }
  }
  return Object.assign(desk, {
    url,
    client: new PostgrestClient(url),
    catalogue,
    statements,
    sql,
    fetch: (path: string, init?: RequestInit) => fetch(`${url}${path}`, init),
    async seed(text: string) {
      const tables = [
        'customers',
        'agents',
        'profiles',
        'tickets',
        'comments',
        'tags',
        'ticket_tags',
        '"Odd ""names"""',
      ]
      await sql(`truncate ${tables.join(', ')}`)
      await sql(text)
      statements.length = 0
    },
    async close() {
      await new Promise((resolve) => server.close(resolve))
      await app.end()
      await owner.end()
      await postgres.stop()
    },
  })
}

/** Three customers, three agents, four tickets and what hangs on them; and a rival tenant with rows of the same ids. */
export const SEED = `
  insert into customers (id, name, email, phone, vip) values
    (1, 'Ada', 'ada@example.com', '+44 1', true),
    (2, 'Bob, "the" builder', 'bob@example.com', null, false),
    (3, 'Çelik', 'celik@example.com', null, null);
  insert into profiles (customer_id, bio) values (1, 'Counts');
  insert into agents (id, name, manager_id) values (1, 'Mia', null), (2, 'Noor', 1), (3, 'Oki', 1);
  insert into tickets (id, title, status, priority, custom, labels, amount, created_at, customer_id, agent_id, reviewer_id) values
    (1, 'Printer on fire', 'open', 1, '{"room": "b7", "size": {"cm": 30}, "list": [1, 2]}', '{hot,hardware}', 12345678901234567890.5, '2024-01-01T10:00:00Z', 1, 2, 1),
    (2, 'Password lost', 'closed', 3, '{"room": "a1", "size": {"cm": 7}}', '{access}', null, '2024-01-02T10:00:00Z', 1, 2, null),
    (3, 'Slow Wi-Fi', 'waiting', 5, null, '{}', 0, '2024-01-03T10:00:00Z', 2, null, null),
    (4, 'A chair', 'open', 3, '{"room": null}', '{hardware}', 99.99, '2024-01-04T10:00:00Z', 2, 3, 1);
  insert into comments (id, ticket_id, body, internal) values (1, 1, 'Which one?', false), (2, 1, 'All', true), (3, 3, 'On it', false);
  insert into tags (id, name) values (1, 'urgent'), (2, 'office');
  insert into ticket_tags (ticket_id, tag_id) values (1, 1), (1, 2), (4, 2);
  insert into "Odd ""names""" ("Some, id", "order", s) values (1, 10, 'x'), (2, 5, 'y');
  set test.tenant to '${RIVAL}';
  insert into customers (id, name, email) values (1, 'Rival', 'rival@example.com'), (9, 'Spy', 'spy@example.com');
  insert into tickets (id, title, customer_id) values (1, 'Theirs', 1), (77, 'Theirs too', 9);`
