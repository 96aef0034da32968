import { afterAll, beforeAll, expect, test } from 'vitest'
import { type Client, supabase } from './support.ts'
import { startTwoRegions, type TwoRegions } from './two-regions.ts'

let regions: TwoRegions
let home: Client
let away: Client
beforeAll(async () => {
  regions = await startTwoRegions()
  home = supabase(regions.world, regions.eu, 'umbrella')
  away = supabase(regions.world, regions.us, 'umbrella')
}, 120_000)
afterAll(() => regions?.close())

/** What a program sees of an answer, whole. */
async function seen(query: PromiseLike<unknown>): Promise<unknown> {
  return JSON.parse(JSON.stringify(await query, (name, value) => (name === 'created_at' ? 'some time' : value)))
}

test('supabase-js is answered alike at home and through a forwarding gateway: reads, writes, counts, errors', async () => {
  await home.from('tags').delete().neq('id', 0)
  const steps: ((db: Client) => PromiseLike<unknown>)[] = [
    (db) => db.from('customers').upsert({ id: 9001, name: 'Çelik, "the" smith', email: 'c@x.test' }).select(),
    (db) =>
      db.from('tickets').upsert({ id: 9001, customer_id: 9001, subject: 'Naïve ☃' }).select('id, subject, status'),
    (db) =>
      db.from('tickets').select('id, subject, customer:customers(name)', { count: 'exact' }).eq('id', 9001).range(0, 0),
    (db) => db.from('tickets').select('*', { head: true, count: 'exact' }).eq('status', 'open'),
    (db) => db.from('tickets').update({ priority: 'high' }).eq('id', 9001).select('priority').single(),
    (db) => db.from('tickets').select('nonsense'),
    (db) => db.from('nothing').select(),
    (db) => db.from('tickets').select().eq('id', -1).single(),
    (db) => db.from('tickets').insert({ id: 9001, customer_id: 1, subject: 'taken' }),
    (db) => db.from('customers').select().eq('name', 'Çelik, "the" smith').csv(),
    (db) => db.from('tickets').select('id').eq('id', 9001).maybeSingle(),
  ]
  for (const step of steps) expect(await seen(step(away))).toEqual(await seen(step(home)))
  const many = Array.from({ length: 800 }, (_, n) => ({ id: n + 1, name: `tag ${n}` }))
  expect((await away.from('tags').insert(many)).error).toBeNull()
  expect(await seen(away.from('tags').select().order('id'))).toEqual(await seen(home.from('tags').select().order('id')))
  expect((await away.from('tags').delete().neq('id', 0)).status).toBe(204)
})

test('an aborted query is an abort, and the next one works', async () => {
  const controller = new AbortController()
  const query = away.from('tickets').select().abortSignal(controller.signal)
  controller.abort()
  expect((await query).error?.message).toMatch(/abort/i)
  expect((await away.from('tickets').select('id').limit(1)).error).toBeNull()
})
