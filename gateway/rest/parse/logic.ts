import { BOUNDS, type Condition, type Logic } from '../ast.ts'
import { type Cursor, cursorOf, eat, expect, fail, isAtEnd } from './cursor.ts'
import { parseField } from './field.ts'
import { parseOperation } from './filter.ts'

/**
 * Reads the value of `and=`, `or=`, `not.and=` and `not.or=`: a parenthesised list of conditions and nested trees.
 *
 * @throws RestError PGRST100 when it is malformed, nests deeper or holds more conditions than the bounds
 */
export function parseLogic(operator: 'and' | 'or', negated: boolean, text: string): Logic {
  const cursor = cursorOf(text)
  const logic = parseTree(cursor, operator, negated, { conditions: 0 })
  if (!isAtEnd(cursor)) fail(cursor, 'expected the end after the closing parenthesis')
  return logic
}

function parseTree(cursor: Cursor, operator: 'and' | 'or', negated: boolean, counts: { conditions: number }): Logic {
  if (++cursor.depth > BOUNDS.depth) fail(cursor, `expected at most ${BOUNDS.depth} levels of nesting`)
  expect(cursor, '(')
  const conditions: Condition[] = []
  do {
    if (++counts.conditions > BOUNDS.conditions) fail(cursor, `expected at most ${BOUNDS.conditions} conditions`)
    conditions.push(parseCondition(cursor, counts))
  } while (eat(cursor, ','))
  expect(cursor, ')')
  cursor.depth--
  return { kind: 'logic', operator, negated, conditions }
}

function parseCondition(cursor: Cursor, counts: { conditions: number }): Condition {
  while (eat(cursor, ' ')) {
    // Spaces between conditions are allowed, since people break long trees over lines.
  }
  for (const [prefix, operator, negated] of BRANCHES) {
    if (!cursor.text.startsWith(`${prefix}(`, cursor.at)) continue
    cursor.at += prefix.length
    return parseTree(cursor, operator, negated, counts)
  }
  const field = parseField(cursor)
  expect(cursor, '.')
  return parseOperation(cursor, field, 'tree')
}

const BRANCHES = [
  ['and', 'and', false],
  ['or', 'or', false],
  ['not.and', 'and', true],
  ['not.or', 'or', true],
] as const
