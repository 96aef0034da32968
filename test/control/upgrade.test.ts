import { readFile } from 'node:fs/promises'
import { afterAll, beforeAll, expect, test } from 'vitest'
import type { ClusterConfig } from '../../config/index.ts'
import { openControlPlane } from '../../tiers/control/control-plane.ts'
import { readMigrations } from '../../tiers/migrate/files.ts'
import { ticketKey } from '../../tiers/room/keys.ts'
import { createRoomMaker } from '../../tiers/rooms/maker.ts'
import { TENANCY } from '../../tiers/tenancy/roles.ts'
import { startTestSystem, type TestSystem } from '../support/system.ts'

const NEWEST = '0008_capture_by_key.sql'

let system: TestSystem
beforeAll(async () => {
  system = await startTestSystem()
})
afterAll(() => system?.close())

test.each(['acme', 'hooli', 'initech'])(
  'a start brings the database of %s to this version of ours, whoever made it, and says so no more',
  async (slug) => {
    const { placement } = await system.control.tenant(slug)
    // Asked for each time: connections to a database of one tenant's are not kept.
    const sql = () => system.control.makerOf(placement!.cluster).admin(placement!.database)
    const known = async () => (await sql()`select from tenancy.versions where name = ${NEWEST}`).length
    // As a version before left it: rooms work with the function that was there before.
    await sql().begin(async (tx) => {
      await tx.unsafe(`set local role ${TENANCY}; drop function tenancy.capture_function(text[])`)
      await tx`delete from tenancy.versions where name = ${NEWEST}`
    })
    expect(await known()).toBe(0)
    await system.control.install()
    await system.control.migrate()
    expect(await known()).toBe(1)
    expect(await sql()`select tenancy.capture_function(array['id'])`).toHaveLength(1)
  },
)

test('functions that note keys, made before this version, are mended where they are', async () => {
  const { placement } = await system.control.tenant('acme')
  const sql = system.control.makerOf(placement!.cluster).admin(placement!.database)
  const before = await readFile(new URL('../../tiers/tenancy/0008_capture_by_key.sql', import.meta.url), 'utf8')
  await sql.begin(async (tx) => {
    await tx.unsafe(`set local role ${TENANCY}; drop function tenancy.capture_function(text[])`)
    await tx.unsafe(before)
    await tx`delete from tenancy.versions where name = '0009_capture_in_utc.sql'`
  })
  const [made] = await sql<{ name: string }[]>`select tenancy.capture_function(array['captured', 'at']) as name`
  await system.control.install()
  await sql.begin(async (tx) => {
    await tx.unsafe(`create table app.paid (tenant_id uuid, captured int, at timestamptz);
      create trigger note after insert on app.paid referencing new table as new_rows for each statement
        execute function tenancy.${made!.name}();
      insert into tenancy.fence (tenant_id, epoch, state, capture, room) values ('00000000-0000-4000-8000-000000000001', 1, 'open', true, 'app');
      set local timezone = 'Asia/Tokyo';
      insert into app.paid values ('00000000-0000-4000-8000-000000000001', 1, '2026-01-01 00:00Z')`)
    const notes = await tx`select key from tenancy.notes where table_name = 'paid'`
    expect(notes).toEqual([{ key: { captured: 1, at: '2026-01-01T00:00:00+00:00' } }])
    await tx`rollback`
  })
})

test('a schema takes its migrations where its cluster takes no more schemas, and was installed before this version', async () => {
  const { config, control, migrationsFolder } = system
  const { placement } = await control.tenant('hooli')
  const sql = control.makerOf(placement!.cluster).admin(placement!.database)
  await sql.begin(async (tx) => {
    await tx.unsafe(`set local role ${TENANCY}; drop function tenancy.capture_function(text[])`)
    await tx`delete from tenancy.versions where name = ${NEWEST}`
  })
  const { key, clusters } = config.regions.get('us')!.secrets!
  const cluster: ClusterConfig = { ...clusters.get(placement!.cluster)!, hosts: ['shared', 'database'] }
  const files = await readMigrations(migrationsFolder)
  const more = {
    name: '9999_more.sql',
    text: 'create table "{room}".more (tenant_id uuid primary key)',
    checksum: 'more',
  }
  const migration = async () => ({ files: [...files, more], references: [] })
  const maker = createRoomMaker({ cluster, keys: [ticketKey(key, cluster.name)], migration })
  try {
    await maker.installCluster()
    expect(await maker.migrate(placement!.database, placement!.schema)).toEqual([more.name])
  } finally {
    await maker.close()
  }
})

test('processes that start at the same time bring the databases to this version in turns', async () => {
  const { config, migrationsFolder } = system
  const planes = [1, 2, 3].map(() => openControlPlane({ config, migrationsFolder }))
  try {
    for (let i = 0; i < 5; i++) await Promise.all(planes.map((plane) => plane.install()))
  } finally {
    await Promise.all(planes.map((plane) => plane.close()))
  }
})
