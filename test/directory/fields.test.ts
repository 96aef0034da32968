import { readFile } from 'node:fs/promises'
import postgres from 'postgres'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { READABLE } from '../../tiers/directory/readable.ts'
import { withAdmin } from '../../tiers/pg/admin.ts'
import { startTestSystem, type TestSystem } from '../support/system.ts'

let system: TestSystem
let reader: postgres.Sql
beforeAll(async () => {
  system = await startTestSystem({ tenants: [] })
  reader = postgres(system.env.INNKEEPER_DIRECTORY_URL!, { max: 1, onnotice: () => {} })
}, 120_000)
afterAll(async () => {
  await reader?.end()
  await system?.close()
})

const readable = Object.entries(READABLE).flatMap(([table, columns]) => columns.map((c) => `${table}.${c}`))

test('FIELDS.md explains every field that gateways of all regions have, and no other', async () => {
  const page = await readFile(new URL('../../tiers/directory/FIELDS.md', import.meta.url), 'utf8')
  expect([...page.matchAll(/^\| `(\w+\.\w+)` \|/gm)].map((m) => m[1])).toEqual(readable)
})

test("the gateways' role may read these columns and nothing else, by whatever statement", async () => {
  const may = await reader<{ name: string }[]>`
    select c.relname || '.' || a.attname as name from pg_class c
    join pg_attribute a on a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
    where c.relnamespace = 'public'::regnamespace and c.relkind in ('r', 'v', 'm', 'p')
      and has_column_privilege(c.oid, a.attnum, 'select')`
  expect(may.map((r) => r.name).sort()).toEqual([...readable].sort())
  const [write] = await reader`
    select count(*)::int as n from pg_class c where c.relnamespace = 'public'::regnamespace and c.relkind in ('r', 'S')
      and (has_any_column_privilege(c.oid, 'insert') or has_any_column_privilege(c.oid, 'update')
        or has_table_privilege(c.oid, 'delete, truncate, references, trigger'))`
  expect(write!.n).toBe(0)
  for (const statement of [
    'select * from tenants',
    'select config from tenants',
    'select idempotency_key from tenants',
    'table moves',
  ]) {
    await expect(reader.unsafe(statement)).rejects.toMatchObject({ code: '42501' })
  }
  expect(await reader.unsafe('select id, slug from tenants')).toEqual([])
})

test('what an earlier version had granted is taken back', async () => {
  await withAdmin(system.env.INNKEEPER_CONTROL_URL!, null, {}, (sql) =>
    sql.unsafe('grant select on tenants to innkeeper_directory'),
  )
  expect(await reader.unsafe('select config from tenants')).toEqual([])
  await system.control.install()
  await expect(reader.unsafe('select config from tenants')).rejects.toMatchObject({ code: '42501' })
})
