import type { PostgrestClient } from '@supabase/postgrest-js'
import { createClient } from '@supabase/supabase-js'
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { type Desk, openDesk, SEED } from './desk.ts'

let desk: Desk
// The client's types are those of a schema that was generated; these tests are about what goes over the wire.
// biome-ignore lint/suspicious/noExplicitAny: a schema without types
let db: PostgrestClient<any, { PostgrestVersion: '14' }, any, any>
beforeAll(async () => {
  desk = await openDesk()
  db = desk.client as typeof db
})
beforeEach(() => desk.seed(SEED))
afterAll(() => desk?.close())

describe('postgrest-js, unmodified', () => {
  it('selects with filters, order and a range, and counts', async () => {
    const { data, count, error, status } = await db
      .from('tickets')
      .select('id, title, customer:customers(name)', { count: 'exact' })
      .in('status', ['open', 'waiting'])
      .not('title', 'ilike', '%chair%')
      .or('priority.lt.2,priority.gt.4')
      .order('id', { ascending: false })
      .range(0, 0)
    expect({ error, status, count }).toEqual({ error: null, status: 206, count: 2 })
    expect(data).toEqual([{ id: 3, title: 'Slow Wi-Fi', customer: { name: 'Bob, "the" builder' } }])
  })

  it('every filter method is understood', async () => {
    const ids = async (query: PromiseLike<{ data: unknown; error: unknown }>) => {
      const { data, error } = await query
      expect(error).toBeNull()
      return (data as { id: number }[]).map((row) => row.id)
    }
    const from = () => db.from('tickets').select('id').order('id')
    expect(await ids(from().eq('id', 1))).toEqual([1])
    expect(await ids(from().neq('id', 1))).toEqual([2, 3, 4])
    expect(await ids(from().gt('id', 3))).toEqual([4])
    expect(await ids(from().gte('id', 3).lt('id', 4).lte('id', 3))).toEqual([3])
    expect(await ids(from().like('title', 'P%'))).toEqual([1, 2])
    expect(await ids(from().likeAllOf('title', ['P%', '%fire']))).toEqual([1])
    expect(await ids(from().likeAnyOf('title', ['P%', 'A%']))).toEqual([1, 2, 4])
    expect(await ids(from().ilikeAnyOf('title', ['p%', 'a%']))).toEqual([1, 2, 4])
    expect(await ids(from().is('agent_id', null))).toEqual([3])
    expect(await ids(from().in('title', ['A chair', 'Slow Wi-Fi']))).toEqual([3, 4])
    expect(await ids(from().notIn('id', [1, 2]))).toEqual([3, 4])
    expect(await ids(from().contains('labels', ['hardware']))).toEqual([1, 4])
    expect(await ids(from().contains('custom', { room: 'b7' }))).toEqual([1])
    expect(await ids(from().containedBy('labels', ['access', 'x']))).toEqual([2, 3])
    expect(await ids(from().overlaps('labels', ['hot', 'access']))).toEqual([1, 2])
    expect(await ids(from().textSearch('title', 'fire & printer'))).toEqual([1])
    expect(await ids(from().match({ status: 'open', priority: 3 }))).toEqual([4])
    expect(await ids(from().filter('custom->>room', 'eq', 'a1'))).toEqual([2])
  })

  it('names with commas and quotes survive in()', async () => {
    const { data } = await db.from('customers').select('id').in('name', ['Bob, "the" builder', 'Çelik']).order('id')
    // The client does not escape quotes within a value that it quotes, so only the other one can be found.
    expect(data).toContainEqual({ id: 3 })
    expect((await db.from('customers').select('id').eq('name', 'Bob, "the" builder')).data).toEqual([{ id: 2 }])
  })

  it('single() and maybeSingle()', async () => {
    expect((await db.from('tags').select().eq('id', 1).single()).data).toEqual({ id: 1, name: 'urgent' })
    const none = await db.from('tags').select().eq('id', 99).single()
    expect([none.status, none.error?.code, none.error?.details]).toEqual([
      406,
      'PGRST116',
      'The result contains 0 rows',
    ])
    const maybe = await db.from('tags').select().eq('id', 99).maybeSingle()
    expect([maybe.data, maybe.error]).toEqual([null, null])
  })

  it('inserts, upserts, updates and deletes, with and without select()', async () => {
    expect(await db.from('tags').insert({ id: 5, name: 'five' })).toMatchObject({
      status: 201,
      data: null,
      error: null,
    })
    const bulk = await db
      .from('tags')
      .insert([
        { id: 6, name: 'six' },
        { id: 7, name: 'seven' },
      ])
      .select('name')
    expect(bulk.data).toEqual([{ name: 'six' }, { name: 'seven' }])
    const one = await db
      .from('tickets')
      .insert({ title: 'x', customer_id: 1 })
      .select('status, customers(name)')
      .single()
    expect(one.data).toEqual({ status: 'open', customers: { name: 'Ada' } })
    const defaults = await db
      .from('tickets')
      .insert(
        [
          { title: 'a', customer_id: 1 },
          { title: 'b', customer_id: 1, priority: 1 },
        ],
        { defaultToNull: false },
      )
      .select('title, priority')
      .order('title')
    expect(defaults.data).toEqual([
      { title: 'a', priority: 3 },
      { title: 'b', priority: 1 },
    ])
    const upsert = await db
      .from('customers')
      .upsert({ name: 'Ada L.', email: 'ada@example.com' }, { onConflict: 'email' })
      .select('id, name')
      .single()
    expect(upsert.data).toEqual({ id: 1, name: 'Ada L.' })
    const ignored = await db
      .from('tags')
      .upsert([{ id: 5, name: 'no' }], { ignoreDuplicates: true })
      .select()
    expect(ignored.data).toEqual([])
    const updated = await db.from('tags').update({ name: 'FIVE' }, { count: 'exact' }).eq('id', 5).select()
    expect([updated.data, updated.count]).toEqual([[{ id: 5, name: 'FIVE' }], 1])
    const limited = await db.from('tags').update({ name: 'F' }).eq('id', 5).select().order('id').limit(1).single()
    expect(limited.data).toEqual({ id: 5, name: 'F' })
    expect(await db.from('tags').delete({ count: 'exact' }).in('id', [5, 6, 7])).toMatchObject({
      status: 204,
      count: 3,
    })
  })

  it('counts without rows, and reads CSV and stripped nulls', async () => {
    const head = await db.from('tickets').select('*', { count: 'exact', head: true }).eq('status', 'open')
    expect([head.count, head.error]).toEqual([2, null])
    expect((await db.from('tags').select('name').order('id').csv()).data).toBe('name\nurgent\noffice')
    expect((await db.from('customers').select('id, phone').eq('id', 2).stripNulls()).data).toEqual([{ id: 2 }])
  })

  it('orders and limits what is embedded', async () => {
    const { data } = await db
      .from('tickets')
      .select('id, comments(id), tags!inner(name)')
      .eq('tags.name', 'office')
      .order('id', { referencedTable: 'comments', ascending: false })
      .limit(1, { referencedTable: 'comments' })
      .order('id')
    expect(data).toEqual([
      { id: 1, comments: [{ id: 2 }], tags: [{ name: 'office' }] },
      { id: 4, comments: [], tags: [{ name: 'office' }] },
    ])
  })

  it('a failure arrives as the client expects it', async () => {
    const { error, status } = await db.from('customers').insert({ name: 'x', email: 'ada@example.com' })
    expect([status, error]).toMatchObject([
      409,
      { code: '23505', message: expect.stringContaining('customers_email_key') },
    ])
    expect((await db.from('tickets').delete().lt('id', 9).select().maxAffected(1)).error).toMatchObject({
      code: 'PGRST124',
    })
  })
})

describe('supabase-js, unmodified', () => {
  it('createClient(url, key) reads and writes', async () => {
    const supabase = createClient(new URL(desk.url).origin, 'ink_key', { auth: { persistSession: false } })
    const { data, error } = await supabase.from('tickets').select('id, comments(count)').order('id').limit(1)
    expect([error, data]).toEqual([null, [{ id: 1, comments: [{ count: 2 }] }]])
    const { data: made } = await supabase.from('tags').insert({ id: 8, name: 'eight' }).select().single()
    expect(made).toEqual({ id: 8, name: 'eight' })
  })
})
