import fc from 'fast-check'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type HostileWorld, JSON_TYPE, SLUGS, startHostileWorld } from './hostile-world.ts'

let on: HostileWorld
beforeAll(async () => {
  on = await startHostileWorld()
})
afterAll(() => on?.world.close())

describe('whatever is sent, it is no failure of ours and shows nothing of another tenant', () => {
  const word = fc.constantFrom(
    'id',
    'name',
    'email',
    'custom',
    'tickets',
    'customers',
    'customer',
    'tenant_id',
    'select',
    'order',
    'or',
    'and',
    'not',
    'eq',
    'in',
    'is',
    'cs',
    'like',
    'fts',
    'match',
    '.',
    ',',
    '(',
    ')',
    '*',
    '->',
    '->>',
    '::',
    ':',
    '!inner',
    '!',
    '"',
    "'",
    '\\',
    '{',
    '}',
    '[',
    ']',
    'null',
    'true',
    '1',
    '-1',
    '1e5',
    '%00',
    '%ff',
    '%',
    '=',
    '&',
    'desc',
    'nullslast',
    'text',
    'int4',
    'json',
    'sum()',
    'count()',
    '...',
    ' ',
    'limit',
    'offset',
    'columns',
    'on_conflict',
    '{room}',
    '$1',
    ';',
    '--',
    '/*',
    'any',
    'all',
    'é',
    '😀',
  )
  const text = fc.array(word, { minLength: 1, maxLength: 10 }).map((words) => words.join(''))
  const parameter = fc.tuple(
    fc.oneof(
      fc.constantFrom(
        'select',
        'order',
        'or',
        'and',
        'not.or',
        'id',
        'name',
        'custom',
        'custom->>a',
        'tickets.id',
        'tickets.order',
        'limit',
        'offset',
        'columns',
        'on_conflict',
      ),
      text,
    ),
    fc.oneof(
      text,
      fc
        .tuple(
          fc.constantFrom(
            'eq',
            'neq',
            'gt',
            'like',
            'ilike',
            'in',
            'is',
            'cs',
            'cd',
            'ov',
            'fts',
            'match',
            'not.eq',
            'eq(any)',
          ),
          text,
        )
        .map(([op, v]) => `${op}.${v}`),
      fc.string({ maxLength: 20 }).map(encodeURIComponentSafely),
    ),
  )
  const query = fc.array(parameter, { maxLength: 4 }).map((all) =>
    all
      .map(([n, v]) => `${n}=${v}`)
      .join('&')
      .replaceAll('#', '%23')
      .replace(/[^\x21-\x7e]/g, encodeURIComponentSafely),
  )
  const as = fc.constantFrom(...SLUGS)
  const table = fc.constantFrom('customers', 'tickets', 'tags')

  test('in queries', { timeout: 60_000 }, async () => {
    let good = 0
    await fc.assert(
      fc.asyncProperty(as, table, query, fc.constantFrom('GET', 'HEAD', 'DELETE'), async (slug, name, q, method) => {
        // Deletes say which row, so that the others stay for what comes after.
        const guard = method === 'DELETE' ? 'id=eq.-5&' : ''
        if ((await on.harmless(`/rest/v1/${name}?${guard}${q}`, { as: slug, method })) < 300) good++
      }),
      { numRuns: 600 },
    )
    // Else nothing of it would have got as far as the database.
    expect(good).toBeGreaterThan(30)
  })

  test('in bodies', { timeout: 60_000 }, async () => {
    let good = 0
    const column = fc.oneof(
      fc.constantFrom('id', 'name', 'email', 'custom', 'tenant_id', 'customer_id', 'subject', 'status', 'created_at'),
      fc.string({ maxLength: 8 }),
    )
    const row = fc.dictionary(
      column,
      fc.oneof(fc.jsonValue({ maxDepth: 3 }), fc.string({ unit: 'binary', maxLength: 10 })),
      { maxKeys: 5 },
    )
    const tag = fc.record({
      id: fc.integer({ min: 1, max: 1e9 }),
      name: fc.string(),
      color: fc.string({ unit: 'binary' }),
    })
    const body = fc.oneof(row, fc.array(row, { maxLength: 4 }), fc.array(tag), fc.jsonValue({ maxDepth: 4 }))
    const prefer = fc.constantFrom(
      'return=representation',
      'return=minimal',
      'resolution=merge-duplicates',
      'resolution=ignore-duplicates',
      'missing=default',
      'return=headers-only',
    )
    await fc.assert(
      fc.asyncProperty(
        as,
        table,
        body,
        prefer,
        fc.constantFrom('POST', 'PATCH', 'PUT'),
        async (slug, name, sent, preference, method) => {
          const path = method === 'POST' ? name : `${name}?id=eq.-5`
          const status = await on.harmless(`/rest/v1/${path}`, {
            as: slug,
            method,
            headers: { ...JSON_TYPE, prefer: preference },
            body: JSON.stringify(sent),
          })
          if (status < 300) good++
        },
      ),
      { numRuns: 500 },
    )
    // Some 40 of 500 are good, and one time in thirty it is fewer than 30.
    expect(good).toBeGreaterThan(10)
  })

  test('in bytes and paths', { timeout: 60_000 }, async () => {
    const path = fc.string({ maxLength: 30 }).map((p) => p.replace(/[^\x21-\x7e]|#/g, encodeURIComponentSafely))
    const type = fc.constantFrom('application/json', 'text/csv', 'application/x-www-form-urlencoded', 'text/plain')
    await fc.assert(
      fc.asyncProperty(as, path, fc.uint8Array({ maxLength: 200 }), type, async (slug, p, bytes, contentType) => {
        await on.harmless(`/${p}`, { as: slug })
        await on.harmless(`/rest/v1/tags?on_conflict=${p}`, {
          as: slug,
          method: 'POST',
          headers: { 'content-type': contentType },
          body: Buffer.from(bytes),
        })
      }),
      { numRuns: 250 },
    )
  })
})

function encodeURIComponentSafely(value: string): string {
  return encodeURIComponent(value.toWellFormed())
}
