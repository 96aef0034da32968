import fc from 'fast-check'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type Desk, openDesk } from './desk.ts'

/**
 * Random filter expressions, sent to the API and evaluated here over the same rows with SQL's three-valued logic. The
 * two have nothing in common but the expression.
 */

interface Row {
  id: number
  name: string
  phone: string | null
  vip: boolean | null
}

type Verdict = boolean | null
type Value = string | number | boolean | null

interface Leaf {
  column: 'id' | 'name' | 'phone' | 'vip'
  operator: string
  negated: boolean
  values: Value[]
}
interface Branch {
  operator: 'and' | 'or'
  negated: boolean
  children: Expression[]
}
type Expression = Leaf | Branch

const TEXTS = [
  '',
  'a',
  'b',
  'B',
  'ab',
  'a,b',
  'a.b',
  '(x)',
  'say "hi"',
  'back\\slash',
  '{a}',
  'null',
  'ünï',
  'not.eq.a',
  ' a ',
  "o'b",
  'a%',
  'a_b',
]
const ROWS: Row[] = TEXTS.map((name, index) => ({
  id: index - 3,
  name,
  phone: index % 3 === 0 ? null : TEXTS[(index * 7) % TEXTS.length]!,
  vip: [true, false, null][index % 3]!,
}))

let desk: Desk
beforeAll(async () => {
  desk = await openDesk()
  await desk.seed('')
  const rows = ROWS.map((row) => ({ ...row, email: `${row.id}@example.com` }))
  const response = await desk.fetch('/customers', {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify(rows),
  })
  expect(response.status).toBe(201)
})
afterAll(() => desk?.close())

const text = fc.constantFrom(...TEXTS)
const number = fc.integer({ min: -5, max: 16 })
const leafOf = (column: Leaf['column'], operators: string[], value: fc.Arbitrary<Value>): fc.Arbitrary<Leaf> =>
  fc.record({
    column: fc.constant(column),
    operator: fc.constantFrom(...operators),
    negated: fc.boolean(),
    values: fc.array(value, { minLength: 1, maxLength: 3 }),
  })
const COMPARE = ['eq', 'neq', 'in', 'isdistinct']
const leaf: fc.Arbitrary<Leaf> = fc.oneof(
  leafOf('id', [...COMPARE, 'gt', 'gte', 'lt', 'lte'], number),
  leafOf('name', COMPARE, text),
  leafOf('phone', COMPARE, text),
  leafOf('phone', ['is'], fc.constant(null)),
  leafOf('vip', ['eq', 'neq'], fc.boolean()),
  leafOf('vip', ['is'], fc.constantFrom(true, false, null)),
)
const { tree } = fc.letrec<{ tree: Expression; branch: Branch }>((tie) => ({
  tree: fc.oneof({ maxDepth: 4, depthSize: 'small' }, leaf, tie('branch')),
  branch: fc.record({
    operator: fc.constantFrom('and' as const, 'or' as const),
    negated: fc.boolean(),
    children: fc.array(tie('tree'), { minLength: 1, maxLength: 4 }),
  }),
}))

const quoted = (value: Value) => `"${String(value).replaceAll('\\', '\\\\').replaceAll('"', '\\"')}"`

function leafText({ operator, negated, values }: Leaf, place: 'parameter' | 'tree'): string {
  const not = negated ? 'not.' : ''
  if (operator === 'in') return `${not}in.(${values.map(quoted).join(',')})`
  if (operator === 'is') return `${not}is.${values[0]}`
  return `${not}${operator}.${place === 'tree' ? quoted(values[0]!) : values[0]}`
}

function treeText(expression: Expression): string {
  if ('column' in expression) return `${expression.column}.${leafText(expression, 'tree')}`
  const { operator, negated, children } = expression
  return `${negated ? 'not.' : ''}${operator}(${children.map(treeText).join(',')})`
}

/** One expression as query parameters: a tree, or a filter of its own. */
function parameter(expression: Expression): [string, string] {
  if ('column' in expression) return [expression.column, leafText(expression, 'parameter')]
  const { operator, negated, children } = expression
  return [`${negated ? 'not.' : ''}${operator}`, `(${children.map(treeText).join(',')})`]
}

const not = (verdict: Verdict): Verdict => (verdict === null ? null : !verdict)

function judge(row: Row, expression: Expression): Verdict {
  if ('column' in expression) {
    const verdict = judgeLeaf(row[expression.column], expression)
    return expression.negated ? not(verdict) : verdict
  }
  const verdicts = expression.children.map((child) => judge(row, child))
  const decisive = expression.operator === 'or'
  const verdict = verdicts.includes(decisive) ? decisive : verdicts.includes(null) ? null : !decisive
  return expression.negated ? not(verdict) : verdict
}

function judgeLeaf(value: Value, { operator, values }: Leaf): Verdict {
  const other = values[0]!
  if (operator === 'is') return value === other
  if (operator === 'isdistinct') return value !== other
  if (value === null) return null
  switch (operator) {
    case 'eq':
      return value === other
    case 'neq':
      return value !== other
    case 'in':
      return values.includes(value)
    case 'gt':
      return value > other
    case 'gte':
      return value >= other
    case 'lt':
      return value < other
    default:
      return value <= other
  }
}

describe('any filter expression', () => {
  it('matches exactly the rows that SQL logic says, and its negation those that it says of that', async () => {
    const expressions = fc.array(tree, { minLength: 1, maxLength: 3 })
    await fc.assert(
      fc.asyncProperty(expressions, async (parts) => {
        const query = new URLSearchParams({ select: 'id', order: 'id' })
        for (const part of parts) query.append(...parameter(part))
        const response = await desk.fetch(`/customers?${query}`)
        const body = await response.json()
        const expected = ROWS.filter((row) => parts.every((part) => judge(row, part) === true))
        expect(body, String(query)).toEqual(expected.map(({ id }) => ({ id })))
      }),
      { numRuns: 400 },
    )
  })

  it('whatever is sent as a query is answered by rows or by a 4xx of the dialect', async () => {
    const piece = fc.constantFrom(
      'id',
      'name',
      'eq',
      'not',
      'in',
      'or',
      'and',
      '.',
      ',',
      '(',
      ')',
      '"',
      '\\',
      '{',
      '}',
      '->',
      '->>',
      ':',
      '::',
      '*',
      '...',
      '!',
      'inner',
      '1',
      ' ',
      '\0',
      '😀',
      'is.null',
    )
    const soup = fc.array(piece, { maxLength: 24 }).map((pieces) => pieces.join(''))
    const key = fc.oneof(fc.constantFrom('select', 'order', 'or', 'id', 'name', 'limit', 'offset', 'not.and'), soup)
    await fc.assert(
      fc.asyncProperty(fc.array(fc.tuple(key, soup), { maxLength: 4 }), async (pairs) => {
        const response = await desk.fetch(`/customers?${new URLSearchParams(pairs)}`)
        const body = await response.text()
        expect([200, 400, 404, 416], body).toContain(response.status)
        if (response.status !== 200)
          expect(JSON.parse(body)).toMatchObject({ code: expect.any(String), message: expect.any(String) })
      }),
      { numRuns: 1500 },
    )
  })
})
