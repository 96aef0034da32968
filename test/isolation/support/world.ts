import pg from 'pg'
import { type Config, resolveConfig } from '../../../config/index.ts'
import { openDirectory } from '../../../tiers/directory/directory.ts'
import type { Directory } from '../../../tiers/directory/types.ts'
import { type AdminSql, adminSql } from '../../../tiers/pg/admin.ts'
import type { Step } from '../../../tiers/pg/batch.ts'
import { type Clusters, openClusters } from '../../../tiers/pg/clusters.ts'
import { quoteIdent } from '../../../tiers/quote.ts'
import { enterStep } from '../../../tiers/room/enter.ts'
import type { TicketFacts } from '../../../tiers/room/ticket.ts'
import { createTenants, type ScopeOptions, type Tenants } from '../../../tiers/tenants.ts'
import {
  type Isolation,
  type Placement,
  ROOM_IDENTIFIER,
  type Tenant,
  type TransactionOptions,
} from '../../../tiers/types.ts'
import * as schema from '../../contract/schema.ts'
import { CLUSTER, LAB_INPUT, withCluster } from './lab.ts'

/** One of the two tenants, with what stands in its rows and nowhere else. */
export interface Party {
  readonly tenant: Tenant
  readonly placement: Placement
  readonly marker: string
  /** Of its first rows: ids that the other tenant has not. */
  readonly id: number
}

/** What it takes to open a world, as plain data, so that another process can open it. */
export interface WorldFacts {
  readonly isolation: Isolation
  readonly a: Party
  readonly b: Party
  readonly env: Readonly<Record<string, string>>
  /** Of the pool; one, so that B gets the session that A left, where nothing else is asked. */
  readonly connectionsMax?: number
  readonly preparedStatements?: boolean
  readonly movingWaitMs?: number
  /** Ask the control database, through the caches, and not this process's own list. */
  readonly directory?: boolean
}

export type Rows = Record<string, unknown>[]
export type Run = (text: string, params?: unknown[]) => Promise<Rows>

/** Two tenants of one isolation model, as an attacker inside A's application sees them. */
export interface World extends WorldFacts {
  readonly config: Config
  readonly tenants: Tenants<typeof schema>
  readonly clusters: Clusters
  /** Where each tenant lives, as this world's gateway believes; a test may change it. */
  readonly placements: Map<string, Tenant>
  /** A statement of the party's application, or one that was injected into it. */
  inject(party: Party, text: string, params?: unknown[], options?: ScopeOptions): Promise<Rows>
  interactive<T>(party: Party, work: (run: Run) => Promise<T>, options?: TransactionOptions & ScopeOptions): Promise<T>
  /** The superuser's connections to the party's database. */
  root(party: Party): AdminSql
  /** A session of the gateways' login that went through no door. */
  raw<T>(party: Party, work: (client: pg.Client) => Promise<T>): Promise<T>
  /** The step that enters, with a ticket that is right but for the changes. */
  entering(party: Party, changes?: Partial<TicketFacts>): Step
  close(): Promise<void>
}

export function openWorld(facts: WorldFacts): World {
  const { connectionsMax = 1, preparedStatements = true, movingWaitMs = 1_000 } = facts
  const input = withCluster({ connectionsMax, preparedStatements }, { movingWaitMs })(LAB_INPUT)
  const config = resolveConfig(input, { kind: 'control' }, facts.env)
  const clusters = openClusters(config)
  const placements = new Map<string, Tenant>()
  for (const { tenant, placement } of [facts.a, facts.b]) {
    for (const key of [tenant.id, tenant.slug]) placements.set(key, { ...tenant, placement })
  }
  const directory = facts.directory ? openDirectory({ config }) : mapDirectory(placements)
  const tenants = createTenants({ config, clusters, schema, directory })
  const cluster = clusters.configOf(CLUSTER)
  const roots = new Map<string, AdminSql>()
  return {
    ...facts,
    config,
    tenants,
    clusters,
    placements,
    inject: async (party, text, params = [], options = {}) =>
      (await tenants.session(party.tenant.id, options).execute({ text, params })).rows,
    interactive: (party, work, options = {}) =>
      tenants
        .session(party.tenant.id, options)
        .transaction((tx) => work(async (text, params = []) => (await tx.execute({ text, params })).rows), options),
    root({ placement: { database } }) {
      const known = roots.get(database) ?? adminSql(cluster.adminUrl!, database, { max: 2 })
      roots.set(database, known)
      return known
    },
    async raw({ placement: { database, schema: room } }, work) {
      const url = new URL(cluster.url)
      url.pathname = `/${database}`
      const client = new pg.Client({ connectionString: url.href })
      // A session that a weakened system keeps waiting ends with its database; its query says so as well.
      client.on('error', () => {})
      await client.connect()
      try {
        await client.query(`set search_path = ${quoteIdent(room)}, pg_temp`)
        return await work(client)
      } finally {
        await client.end()
      }
    },
    entering: ({ tenant, placement: { database, epoch } }, changes = {}) =>
      enterStep(
        clusters.ticketKeyOf(CLUSTER),
        {
          database,
          tenant: tenant.id,
          epoch,
          readOnly: false,
          isolationLevel: 'read committed',
          claims: '',
          ...changes,
        },
        { statementMs: 5_000, lockMs: 5_000, idleMs: 5_000 },
      ),
    async close() {
      await clusters.close()
      await directory.close()
      await Promise.all([...roots.values()].map((sql) => sql.end({ timeout: 1 })))
    },
  }
}

export function partyOf(tenant: Tenant, letter: 'a' | 'b', placement: Placement = tenant.placement!): Party {
  return { tenant, placement, marker: `secret-of-${letter}`, id: letter === 'a' ? 100_001 : 200_001 }
}

/** Rows for one tenant in every table, written past the door. `same@example.com` is in both. */
export async function seed(sql: AdminSql, { tenant, placement, marker, id }: Party): Promise<void> {
  const room = quoteIdent(placement.schema)
  const t = `'${tenant.id}'`
  for (const text of [
    `insert into ${room}.customers (tenant_id, id, name, email) values
       (${t}, ${id}, '${marker} one', 'same@example.com'),
       (${t}, ${id + 1}, '${marker} two', '${marker}-two@example.com'),
       (${t}, ${id + 2}, '${marker} three', '${marker}-three@example.com')`,
    `insert into ${room}.agents (tenant_id, id, name, email) values (${t}, ${id}, '${marker} agent', '${marker}-agent@example.com')`,
    `insert into ${room}.tickets (tenant_id, id, customer_id, agent_id, subject)
       select ${t}, ${id} + n, ${id} + n, ${id}, '${marker} ticket ' || n from generate_series(0, 2) n`,
    `insert into ${room}.comments (tenant_id, id, ticket_id, body)
       select ${t}, ${id} + n, ${id} + n, '${marker} comment ' || n from generate_series(0, 2) n`,
    `insert into ${room}.tags (tenant_id, id, name) values (${t}, ${id}, '${marker} tag')`,
    `insert into ${room}.ticket_tags (tenant_id, ticket_id, tag_id) values (${t}, ${id}, ${id})`,
    `insert into ${room}.counters (tenant_id, id) values (${t}, 1)`,
    `insert into ${room}.slots (tenant_id, id, place) values (${t}, ${id}, 1)`,
    `insert into ${room}.things (tenant_id, id, label) values (${t}, ${id}, '${marker} thing')`,
  ]) {
    await sql.unsafe(text)
  }
}

const TABLES = ['customers', 'agents', 'tickets', 'comments', 'tags', 'ticket_tags', 'counters', 'slots', 'things']

/** Everything that a tenant has, as one short text, read past the door. */
export async function fingerprint(sql: AdminSql, { tenant, placement }: Party): Promise<string> {
  const parts = TABLES.map(
    (table) => `select '${table}' as name, md5(coalesce(string_agg(t::text, '|' order by t::text), '')) as hash
      from ${quoteIdent(placement.schema)}.${quoteIdent(table)} t where tenant_id = '${tenant.id}'`,
  )
  return JSON.stringify(await sql.unsafe(parts.join(' union all ')))
}

/** A statement's text as the server gets it, for sessions that do not go through the data layer. */
export function inRoom(text: string, party: Party): string {
  return text.replaceAll(ROOM_IDENTIFIER, quoteIdent(party.placement.schema))
}

function mapDirectory(tenants: ReadonlyMap<string, Tenant>): Directory {
  const get = (key: string) => tenants.get(key) ?? null
  return {
    bySlug: async (slug) => get(slug),
    byId: async (id) => get(id),
    byDomain: async () => null,
    peekSlug: get,
    peekId: get,
    refresh: async (id) => get(id),
    status: () => ({ connected: true, staleForMs: 0, entries: tenants.size, restored: 0, version: 1 }),
    close: async () => {},
  }
}
