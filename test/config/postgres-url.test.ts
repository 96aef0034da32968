import { expect, test } from 'vitest'
import { parsePostgresUrl, resolveConfig } from '../../config/index.ts'
import input from '../../config/innkeeper.config.ts'

test('a URL of one host is read as it always was', () => {
  const url = parsePostgresUrl('postgresql://al%40ice:s%2Fecret:x@db.example.com/app%20one?application_name=x')
  expect(url).toMatchObject({ user: 'al@ice', password: 's/ecret:x', database: 'app one', target: 'any' })
  expect(url.hosts).toEqual([{ host: 'db.example.com', port: 5432 }])
  expect(url.one(url.hosts[0])).toBe('postgres://al%40ice:s%2Fecret:x@db.example.com:5432/app%20one?application_name=x')
  expect(url.one(url.hosts[0], 'other/base')).toContain('@db.example.com:5432/other%2Fbase?')
})

test('several hosts are the same data, one of them the primary', () => {
  const url = parsePostgresUrl('postgres://u:p@h1:5433,[::1]:6000,h3/db?target_session_attrs=primary')
  expect(url.hosts).toEqual([
    { host: 'h1', port: 5433 },
    { host: '::1', port: 6000 },
    { host: 'h3', port: 5432 },
  ])
  expect(url.target).toBe('primary')
  expect(url.hosts.map((h) => url.one(h))).toEqual([
    'postgres://u:p@h1:5433/db',
    'postgres://u:p@[::1]:6000/db',
    'postgres://u:p@h3:5432/db',
  ])
  expect(parsePostgresUrl('postgres://u:p@h1,h2/db').target).toBe('read-write')
})

test.each([
  ['mysql://u:p@h/db', 'starts with mysql:, not postgres:'],
  ['nonsense', 'is not a URL'],
  ['postgres://u:p@/db', 'where a host belongs'],
  ['postgres://u:p@h1,/db', 'where a host belongs'],
  ['postgres://u:p@h1:70000/db', 'has port 70000'],
  ['postgres://u:p@h1:x/db', 'where a host belongs'],
  ['postgres://u:p@h1,h1:5432/db', 'same host and port twice'],
  ['postgres://u:p@h1,h2/db?target_session_attrs=any', 'say read-write'],
  ['postgres://u:p@h1/db?target_session_attrs=standby', 'say read-write'],
  ['postgres://u:p@h1/db?sslmode=no-verify', "write tls: 'verify-full'"],
  ['postgres://u:p@h1/db?ssl=true', "write tls: 'verify-full'"],
])('%s is refused with what to do, when the process starts', (url, message) => {
  expect(() => parsePostgresUrl(url)).toThrow(message)
  const env = new Proxy({}, { get: (_t, name) => (String(name).endsWith('_URL') ? url : 'x'.repeat(60)) })
  expect(() => resolveConfig(input, { kind: 'control' }, env)).toThrow(message)
})

test('what is said of a bad URL holds nothing of its credentials', () => {
  for (const bad of ['postgres://user:sesame@h1:99999/db', 'postgres://user:sesame@h1,h1/db', 'x user:sesame@h1']) {
    expect(() => parsePostgresUrl(bad)).toThrow(
      expect.not.objectContaining({ message: expect.stringContaining('sesame') }),
    )
  }
})
