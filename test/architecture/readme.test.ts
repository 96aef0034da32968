import { readFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { expect, test } from 'vitest'
import { statusOf } from '../../gateway/edge/problem.ts'
import { ERROR_CODES, type ErrorCode } from '../../tiers/errors.ts'

const readme = readFileSync(join(resolve(import.meta.dirname, '../..'), 'README.md'), 'utf8')

test('the README explains every error code, with its status', () => {
  const explained = new Map([...readme.matchAll(/^#### `(\w+)` \((\d+)\)$/gm)].map((m) => [m[1]!, Number(m[2])]))
  const codes = Object.keys(ERROR_CODES) as ErrorCode[]
  expect(Object.fromEntries(explained)).toEqual(Object.fromEntries(codes.map((c) => [c, statusOf(c)])))
})
