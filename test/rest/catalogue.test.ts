import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { loadCatalogue } from '../../gateway/rest/catalogue/load.ts'
import { nearest } from '../../gateway/rest/catalogue/nearest.ts'
import type { Catalogue } from '../../gateway/rest/catalogue/types.ts'
import { type Desk, openDesk } from './desk.ts'

describe.each([15, 18] as const)('the catalogue, on PostgreSQL %i', (version) => {
  let desk: Desk
  let catalogue: Catalogue
  beforeAll(async () => {
    desk = await openDesk(version)
    await desk.sql(`
      create domain percent as int check (value between 0 and 100);
      create domain share as percent;
      create table odds (
        tenant_id uuid not null, id int generated always as identity, done share, raw json, found tsvector,
        at date not null default current_date, code char(3), sizes numeric(10, 2)[], moods ticket_status[],
        primary key (tenant_id, id, at)
      ) partition by range (at);
      create table odds_2024 partition of odds for values from ('2024-01-01') to ('2025-01-01');
      create unique index odds_code on odds (tenant_id, at, code) include (done);
      create unique index odds_partial on odds (tenant_id, at) where code is null;
      create unique index odds_expression on odds (tenant_id, at, lower(code))`)
    const query = async ({ text, params }: { text: string; params: readonly unknown[] }) => {
      const rows = await desk.sql(text, [...params])
      return { rows, rowCount: rows.length, fields: [], command: 'SELECT' }
    }
    catalogue = await loadCatalogue(query, 'room_b7')
  })
  afterAll(() => desk?.close())

  it('hides tenant_id from columns and keys, and keeps it where SQL needs it', () => {
    for (const table of catalogue.tables.values()) expect([...table.columns.keys()]).not.toContain('tenant_id')
    const { uniqueKeys, primaryKey } = catalogue.tables.get('customers')!
    expect(primaryKey).toMatchObject({ columns: ['id'], allColumns: ['tenant_id', 'id'] })
    expect(uniqueKeys.map(({ columns }) => columns)).toEqual([['id'], ['email']])
  })

  it('knows types, defaults and what can be written', () => {
    const { columns } = catalogue.tables.get('tickets')!
    expect(columns.get('status')).toMatchObject({
      type: { sql: '"{room}"."ticket_status"', label: 'ticket_status', enumValues: ['open', 'waiting', 'closed'] },
      nullable: false,
      hasDefault: true,
      generated: false,
    })
    expect(columns.get('shout')).toMatchObject({ generated: true })
    expect(columns.get('labels')!.type).toMatchObject({ kind: 'array', label: 'text[]' })
    expect(columns.get('custom')!.type).toMatchObject({ kind: 'jsonb', sql: '"pg_catalog"."jsonb"' })
    expect(catalogue.tables.get('customers')).toMatchObject({ comment: 'People who <ask> for help', kind: 'table' })
    expect(catalogue.tables.get('open_tickets')).toMatchObject({ kind: 'view', privileges: { insert: false } })
  })

  it('sees through domains, shows a partitioned table once, and an identity that is always generated', () => {
    const { columns } = catalogue.tables.get('odds')!
    expect(columns.get('done')!.type).toMatchObject({ sql: '"pg_catalog"."int4"', label: 'share' })
    expect(columns.get('id')).toMatchObject({ generated: true, hasDefault: true })
    expect(columns.get('code')!.type).toMatchObject({ sql: '"pg_catalog"."bpchar"', label: 'character(3)' })
    expect(columns.get('moods')!.type).toMatchObject({ sql: '"{room}"."ticket_status"[]', label: 'ticket_status[]' })
    expect(columns.get('raw')!.type.kind).toBe('json')
    expect(catalogue.tables.get('odds')!.uniqueKeys.map((key) => key.columns)).toEqual([
      ['id', 'at'],
      ['at', 'code'],
    ])
    expect(columns.get('found')!.type.kind).toBe('tsvector')
    expect(catalogue.tables.has('odds_2024')).toBe(false)
  })

  it('is frozen', () => {
    expect(Object.isFrozen(catalogue)).toBe(true)
    expect(Object.isFrozen(catalogue.tables.get('tags'))).toBe(true)
    expect(Object.isFrozen(catalogue.tables.get('tags')!.columns.get('id')!.type)).toBe(true)
  })

  it('the same requests are answered on this version', async () => {
    await desk.seed(
      `insert into customers (id, name, email) values (1, 'Ada', 'a'); insert into tickets (id, title, customer_id) values (1, 'x', 1)`,
    )
    const response = await desk.fetch('/customers?select=name,tickets!inner(id,customers(name))&id=in.(1,2)', {
      headers: { prefer: 'count=planned' },
    })
    expect([response.status, response.headers.get('content-range'), await response.json()]).toEqual([
      200,
      '0-0/1',
      [{ name: 'Ada', tickets: [{ id: 1, customers: { name: 'Ada' } }] }],
    ])
    const written = await desk.fetch('/customers?on_conflict=email', {
      method: 'POST',
      body: JSON.stringify([{ name: 'Ada L.', email: 'a' }]),
      headers: { 'content-type': 'application/json', prefer: 'resolution=merge-duplicates,return=representation' },
    })
    expect(await written.json()).toMatchObject([{ id: 1, name: 'Ada L.' }])
  })
})

describe('the nearest name', () => {
  it.each([
    ['tikets', 'tickets'],
    ['Tickets', 'tickets'],
    ['invoices', null],
    ['x'.repeat(1000), null],
  ])('to %s is %s', (name, near) => {
    expect(nearest(name, ['agents', 'tickets', 'tags'])).toBe(near)
  })
})
