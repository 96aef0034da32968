import { captureChanges } from '../../tiers/migrate/capture.ts'
import type { AdminSql } from '../../tiers/pg/admin.ts'
import type { Bench } from './bench.ts'
import { type Case, inTurns } from './measure.ts'
import { ROOMS } from './world.ts'

const ROWS = 1_000
/** In one call, so that what is measured is the server's work for a write, and not the way to it. */
const AT_ONCE = 500
const OTHER = 'bench-captured'

/**
 * What it costs a write in the pool that changes are noted there, by whose: nobody's, another tenant's, its own. The last
 * beside the function that puts its statements together for each write, which rooms of an older version still have.
 */
export const capture: Bench = {
  name: 'capture',
  async run({ system, seconds }) {
    await system.control.createTenant({ slug: OTHER, tier: 'free', region: 'us' })
    const { id, placement } = await system.control.tenant(ROOMS.shared)
    const other = await system.control.tenant(OTHER)
    const sql = system.control.makerOf(placement!.cluster).admin(placement!.database)
    const noted = (tenant: string | null) => `update tenancy.fence set capture = coalesce(tenant_id = ${tenant}, false)`
    const cases: Record<string, Case> = Object.fromEntries(
      Object.entries({
        'no trigger': ['plain', null],
        'nobody’s': ['kept', null],
        'another tenant’s': ['kept', `'${other.id}'`],
        'its own': ['kept', `'${id}'`],
        'its own, planned anew': ['anew', `'${id}'`],
      } as const).map(([name, [table, tenant]]): [string, Case] => [
        name,
        () => () =>
          sql.unsafe(`${noted(tenant)}; truncate tenancy.notes; do $$ begin for i in 1..${AT_ONCE} loop
            update bench_capture.${table} set value = i where tenant_id = '${id}' and id = 1 + (i * 7) % ${ROWS}; end loop; end $$`),
      ]),
    )
    try {
      await makeTables(sql, id)
      const measured = await inTurns(cases, { seconds, workers: 1 })
      return Object.entries(measured).map(([what, m]) => ({
        bench: 'writes in the pool, whose changes are noted',
        what,
        value: m.opsPerSecond * AT_ONCE,
        unit: 'op/s' as const,
        ratios: what === 'no trigger' ? {} : { 'no trigger': m.ratioTo('no trigger') },
      }))
    } finally {
      await sql.unsafe(`${noted(null)}; truncate tenancy.notes; drop schema if exists bench_capture cascade`)
    }
  },
}

async function makeTables(sql: AdminSql, tenant: string): Promise<void> {
  await sql.begin(async (tx) => {
    await tx.unsafe('create schema bench_capture')
    const make = (table: string) =>
      tx.unsafe(`create table bench_capture.${table} (tenant_id uuid, id int, value int, primary key (tenant_id, id))
          with (fillfactor = 50);
        insert into bench_capture.${table} select '${tenant}', n, 0 from generate_series(1, ${ROWS}) n`)
    await make('kept')
    await make('anew')
    await captureChanges(tx as unknown as AdminSql, 'bench_capture', [])
    for (const event of ['insert', 'update', 'delete'])
      await tx.unsafe(`drop trigger innkeeper_capture_${event} on bench_capture.anew`)
    await tx.unsafe(`create trigger anew after update on bench_capture.anew
      referencing old table as old_rows new table as new_rows for each statement execute function tenancy.capture('id')`)
    await make('plain')
  })
}
