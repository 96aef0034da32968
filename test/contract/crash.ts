import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type OpenTenants, openTenants } from '../../tiers/open-tenants.ts'
import { ISOLATIONS, type Isolation } from '../../tiers/types.ts'
import { type Lab, startLab } from '../isolation/support/lab.ts'
import type { CrashOrder } from './crash-child.ts'
import * as schema from './schema.ts'

const CHILD = fileURLToPath(new URL('./crash-child.ts', import.meta.url))
const TIERS = { shared: 'free', schema: 'pro', database: 'enterprise' } as const

/** Each death costs a process. */
const TIMEOUT_MS = 1_800_000

/** From one death to the next, in network writes; 1 is at every write. */
export type Strides = Readonly<Record<Isolation | 'migration', number>>

/** Kills onboarding and migrations by SIGKILL at one network write after another, and lets another process finish. */
export function crashSuite(strides: Strides): void {
  let lab: Lab
  let tenants: OpenTenants<typeof schema>
  beforeAll(async () => {
    lab = await startLab()
    tenants = await openTenants(lab.config, { schema })
  })
  afterAll(async () => {
    await tenants?.close(0)
    await lab?.close()
  })

  /** @returns false when the work was over before its turn to die came */
  async function dies(order: Pick<CrashOrder, 'killAt' | 'sent' | 'work'>): Promise<boolean> {
    const child = spawn(process.execPath, [CHILD], { stdio: ['pipe', 'ignore', 'pipe'] })
    child.stdin.end(
      JSON.stringify({ env: lab.env, migrationsFolder: lab.migrationsFolder, ...order } satisfies CrashOrder),
    )
    const [errors, [code, signal]] = await Promise.all([text(child.stderr), once(child, 'exit')])
    if (code !== 0 && signal !== 'SIGKILL') throw new Error(`The child failed instead of dying: ${errors}`)
    return signal === 'SIGKILL'
  }

  /** Everything of rooms that is on the server, by what the directory knows of it. */
  async function leftovers(): Promise<unknown> {
    const control = lab.root('innkeeper_control')
    const placed = await control`select database, schema, isolation from placements`
    const databases = await control`select datname from pg_database where datname like 'innkeeper_d_%'`
    const schemas = await lab.root('innkeeper_schemas')`select nspname from pg_namespace where nspname like 'r\\_%'`
    const fences = await lab.root('innkeeper_schemas')`select room from tenancy.fence`
    const records = await lab.root('innkeeper_schemas')`select distinct room from tenancy.migrations`
    const rooms = placed.filter((p) => p.isolation === 'schema').map((p) => p.schema)
    return {
      databases: databases.map((d) => d.datname).filter((d) => !placed.some((p) => p.database === d)),
      schemas: schemas.map((s) => s.nspname).filter((s) => !rooms.includes(s)),
      fences: fences.map((f) => f.room).filter((r) => !rooms.includes(r)),
      records: records.map((r) => r.room).filter((r) => !rooms.includes(r)),
      provisioning: Number((await control`select count(*) as n from tenants where status = 'provisioning'`)[0]!.n),
    }
  }
  const NOTHING = { databases: [], schemas: [], fences: [], records: [], provisioning: 0 }

  describe.each(ISOLATIONS)('onboarding, %s:', (isolation) => {
    test(
      'killed at any write, it is finished by the next one who asks, or by recovery: one tenant, one whole room',
      async () => {
        let n = 0
        // Writes differ by a few from run to run, so the first that comes too late ends it.
        for (let killAt = 3; ; killAt += strides[isolation]) {
          const slug = `crash-${isolation}-${++n}`
          const create = { slug, tier: TIERS[isolation], idempotencyKey: `key-${slug}` }
          const died = await dies({ killAt, sent: n % 2 === 0, work: { create } })
          if (died && n % 3 === 0) await lab.control.recover()
          const made = await lab.control.createTenant({ ...create, region: 'us' })
          expect(made, `killed at write ${killAt}`).toMatchObject({
            slug,
            status: 'active',
            placement: { isolation },
          })
          const rows = await lab.root('innkeeper_control')`select id from tenants where slug = ${slug}`
          expect(rows).toHaveLength(1)
          await expectWhole(slug, made.id)
          expect(await leftovers()).toEqual(NOTHING)
          if (!died) break
        }
        expect(n).toBeGreaterThan(1)
      },
      TIMEOUT_MS,
    )
  })

  /** All tables, all guarded, all migrations recorded, and the tenant can work. */
  async function expectWhole(slug: string, id: string): Promise<void> {
    const { placement } = await lab.control.tenant(slug)
    const sql = lab.root(placement!.database)
    const [room] = await sql`
      select (select count(*)::int from pg_class where relnamespace = ${placement!.schema}::regnamespace and relkind = 'r') as tables,
        (select count(*)::int from pg_class where relnamespace = ${placement!.schema}::regnamespace and relkind = 'r' and not relforcerowsecurity) as open,
        (select count(*)::int from tenancy.migrations where room = ${placement!.schema}) as migrations,
        (select count(*)::int from tenancy.fence where tenant_id = ${id} and state = 'open' and epoch = ${placement!.epoch}) as fences`
    const { a } = lab.pairs[placement!.isolation]
    const [model] = await lab.root(a.placement!.database)`
      select (select count(*)::int from pg_class where relnamespace = ${a.placement!.schema}::regnamespace and relkind = 'r') as tables,
        (select count(*)::int from tenancy.migrations where room = ${a.placement!.schema}) as migrations`
    expect({ ...room }).toEqual({ tables: model!.tables, open: 1, migrations: model!.migrations, fences: 1 })
    const [tag] = await tenants.for(slug).insert(schema.tags).values({ name: slug }).returning()
    expect(await tenants.for(slug).select().from(schema.tags)).toEqual([tag])
    await tenants.for(slug).delete(schema.tags)
    // Each has a database of its own open otherwise.
    if (placement!.isolation === 'database') await lab.forget(placement!.database)
  }

  test(
    'migrations killed at any write go on where they stopped, in every room, once each',
    async () => {
      let n = 0
      for (let killAt = 3; ; killAt += strides.migration) {
        n++
        const column = `crash_${n}`
        const name = `3${String(n).padStart(3, '0')}_${column}.sql`
        // Not to be repeated: a second run of the same file would fail.
        const text = `alter table "{room}".agents add column ${column} int; update "{room}".agents set ${column} = 1;`
        await writeFile(join(lab.migrationsFolder, name), text)
        const died = await dies({ killAt, sent: n % 2 === 0, work: { migrate: true } })
        const { failures } = await lab.control.migrate()
        expect(failures, `killed at write ${killAt}`).toEqual([])
        for (const { a } of Object.values(lab.pairs)) {
          const sql = lab.root(a.placement!.database)
          const [room] = await sql`select
          (select count(*)::int from tenancy.migrations where room = ${a.placement!.schema} and name = ${name}) as records,
          (select count(*)::int from pg_attribute where attrelid = ${`${a.placement!.schema}.agents`}::regclass and attname = ${column}) as columns,
          (select count(*)::int from pg_class where relnamespace = ${a.placement!.schema}::regnamespace and relkind = 'r' and not relforcerowsecurity) as open`
          expect({ ...room }).toEqual({ records: 1, columns: 1, open: 1 })
        }
        if (!died) break
      }
      expect(n).toBeGreaterThan(1)
    },
    TIMEOUT_MS,
  )

  test('requests for one tenant at the same time make one tenant', async () => {
    for (const isolation of ISOLATIONS) {
      const slug = `same-${isolation}`
      const request = { slug, tier: TIERS[isolation], region: 'us', idempotencyKey: `one-${isolation}` }
      const made = await Promise.all(Array.from({ length: 6 }, () => lab.control.createTenant(request)))
      expect(new Set(made.map((t) => t.id)).size).toBe(1)
      expect(made.every((t) => t.status === 'active')).toBe(true)
      const others = await Promise.allSettled(
        Array.from({ length: 4 }, (_, n) =>
          lab.control.createTenant({
            slug: `race-${isolation}`,
            tier: TIERS[isolation],
            region: 'us',
            idempotencyKey: `race-${isolation}-${n}`,
          }),
        ),
      )
      expect(others.filter((r) => r.status === 'fulfilled')).toHaveLength(1)
      for (const refused of others)
        if (refused.status === 'rejected') expect(refused.reason).toMatchObject({ code: 'conflict' })
    }
    expect(await leftovers()).toEqual(NOTHING)
  })

  test('many requests at the same time, for one tenant and for many, all come to an end', async () => {
    const request = { tier: 'free', region: 'us' }
    const many = await Promise.all([
      ...Array.from({ length: 12 }, (_, n) => lab.control.createTenant({ ...request, slug: `many-${n}` })),
      ...Array.from({ length: 12 }, () =>
        lab.control.createTenant({ ...request, slug: 'one-of-many', idempotencyKey: 'one of many' }),
      ),
    ])
    expect(new Set(many.map((t) => t.id)).size).toBe(13)
  })

  test('an idempotency key means one request: the same again gives the same tenant, another one is a conflict', async () => {
    const request = { slug: 'keyed', tier: 'free', region: 'us', idempotencyKey: 'the key' }
    const { id } = await lab.control.createTenant(request)
    expect((await lab.control.createTenant(request)).id).toBe(id)
    const refused = { code: 'conflict' }
    await expect(lab.control.createTenant({ ...request, slug: 'keyed-otherwise' })).rejects.toMatchObject(refused)
    await expect(lab.control.createTenant({ ...request, tier: 'pro' })).rejects.toMatchObject(refused)
    await expect(lab.control.createTenant({ ...request, idempotencyKey: 'another key' })).rejects.toMatchObject(refused)
    await expect(lab.control.createTenant({ slug: 'keyed', tier: 'free', region: 'us' })).rejects.toMatchObject(refused)
    await lab.control.createTenant({ slug: 'no-key', tier: 'free', region: 'us' })
    await expect(lab.control.createTenant({ slug: 'no-key', tier: 'free', region: 'us' })).rejects.toMatchObject(
      refused,
    )
    const slugs = await lab.root(
      'innkeeper_control',
    )`select slug from tenants where slug like 'keyed%' or slug = 'no-key' order by 1`
    expect(slugs.map((r) => r.slug)).toEqual(['keyed', 'no-key'])
  })

  test('removing a tenant that was killed half way leaves nothing either', async () => {
    for (const isolation of ISOLATIONS) {
      const slug = `gone-${isolation}`
      // The first death after which there is something of it.
      for (let killAt = 25; (await lab.control.store.get(slug)) === null; killAt += 3) {
        await dies({ killAt, sent: true, work: { create: { slug, tier: TIERS[isolation] } } })
      }
      const { id, status } = await lab.control.tenant(slug)
      expect(status).toBe('provisioning')
      expect(await lab.control.offboard(slug)).toMatchObject({ status: 'offboarded', placement: null })
      const fences = await lab.root(
        isolation === 'schema' ? 'innkeeper_schemas' : 'innkeeper_shared',
      )`select from tenancy.fence where tenant_id = ${id}`
      expect(fences).toHaveLength(0)
    }
    expect(await leftovers()).toEqual(NOTHING)
  })
}
