import { readFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { expect, test } from 'vitest'
import { ERROR_WORDS } from '../../gateway/edge/error-words.ts'
import { statusOf } from '../../gateway/edge/problem.ts'
import { ERROR_CODES, type ErrorCode } from '../../tiers/errors.ts'

const readme = readFileSync(join(resolve(import.meta.dirname, '../..'), 'README.md'), 'utf8')

test('the README explains every error code, with its status, in the words that gateways serve', () => {
  const explained = [...readme.matchAll(/^#### `(\w+)` \((\d+)\)\n\n(.*?) \*What to do:\* (.*)$/gm)].map(
    ([, code, status, meaning, toDo]) => [code!, { status: Number(status), meaning, toDo }] as const,
  )
  const codes = Object.keys(ERROR_CODES) as ErrorCode[]
  const served = codes.map((c) => [c, { status: statusOf(c), ...ERROR_WORDS[c] }] as const)
  expect(Object.fromEntries(explained)).toEqual(Object.fromEntries(served))
})
