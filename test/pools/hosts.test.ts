import { expect, test } from 'vitest'
import { type Chosen, choosePrimary, describeHosts, type HostAnswer, isWrongSession } from '../../tiers/pg/hosts.ts'

const [a, b] = [
  { host: 'a', port: 5432 },
  { host: 'b', port: 5432 },
]
const primary = (timeline: number, isReadOnly = false): HostAnswer => ({ kind: 'primary', timeline, isReadOnly })
const replica: HostAnswer = { kind: 'replica' }
const silent: HostAnswer = { kind: 'silent', error: new Error('refused') }
const choose = (ofA: HostAnswer, ofB: HostAnswer, known: Chosen | null = null) =>
  choosePrimary(
    [
      { host: a, answer: ofA },
      { host: b, answer: ofB },
    ],
    'read-write',
    known,
  )?.host ?? null

test('the primary is chosen, wherever it stands in the URL', () => {
  expect(choose(primary(1), replica)).toBe(a)
  expect(choose(replica, primary(2))).toBe(b)
  expect(choose(silent, primary(1))).toBe(b)
  expect(choose(silent, replica)).toBeNull()
})

test('of two primaries the one that was promoted last is chosen; of equals the one that was known', () => {
  expect(choose(primary(1), primary(2))).toBe(b)
  expect(choose(primary(3), primary(2))).toBe(a)
  expect(choose(primary(2), primary(2), { host: b, timeline: 2 })).toBe(b)
})

test('an old primary that came back is not chosen, also while there is no other', () => {
  expect(choose(primary(1), silent, { host: b, timeline: 2 })).toBeNull()
  expect(describeHosts([{ host: a, answer: primary(1) }], { host: b, timeline: 2 })).toContain('old primary')
})

test('a primary that takes no writes will do only where it need not be written to', () => {
  expect(choose(primary(1, true), silent)).toBeNull()
  expect(choosePrimary([{ host: a, answer: primary(1, true) }], 'primary', null)?.host).toBe(a)
})

test('a session on a replica is the wrong one, unless any will do', () => {
  expect(isWrongSession({ in_hot_standby: 'on' }, 'primary')).toBe(true)
  expect(isWrongSession({ in_hot_standby: 'off', default_transaction_read_only: 'on' }, 'read-write')).toBe(true)
  expect(isWrongSession({ in_hot_standby: 'off', default_transaction_read_only: 'on' }, 'primary')).toBe(false)
  expect(isWrongSession({ in_hot_standby: 'on' }, 'any')).toBe(false)
  // A proxy that keeps them back has said nothing.
  expect(isWrongSession({}, 'read-write')).toBe(false)
})
