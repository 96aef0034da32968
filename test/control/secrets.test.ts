import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { withAdmin } from '../../tiers/pg/admin.ts'
import { passwordLiteral } from '../../tiers/pg/scram.ts'
import { startTestSystem, type TestSystem } from '../support/system.ts'

let system: TestSystem
beforeAll(async () => {
  system = await startTestSystem({ settings: { log_statement: 'all', log_parameter_max_length: -1 } })
}, 120_000)
afterAll(() => system?.close())

const server = () => system.servers.get('us')!.server

/** Every value of the environment that is a secret, by its name, and the passwords within URLs. */
function secrets(): [string, string][] {
  return Object.entries(system.env)
    .filter(([name]) => !name.endsWith('PUBLIC_KEY'))
    .map(([name, value]) => [name, value.startsWith('postgres:') ? new URL(value).password : value])
}

test('what is installed leaves no secret in the server’s log, whatever that is told to keep', async () => {
  const log = await readFile(join(server().dataDir, 'postgres.log'), 'utf8')
  // The look itself finds what is there.
  expect(log).toMatch(/alter role "?innkeeper_app"? .* password 'SCRAM-SHA-256\$/)
  for (const [name, secret] of secrets()) expect([name, log.includes(secret)]).toEqual([name, false])
})

test('nothing in the control database, nor in a data database, holds a secret of the environment or an API key', async () => {
  const looked: string[] = []
  const keys = secrets().concat(['acme', 'hooli', 'initech'].map((slug) => [slug, system.keyOf(slug)]))
  await withAdmin(server().url(), null, {}, async (sql) => {
    const databases = await sql<{ datname: string }[]>`select datname from pg_database where datallowconn`
    for (const { datname } of databases) {
      const text = await everythingIn(datname)
      looked.push(...(text.includes('acme') || text.includes('inner_pad') ? [datname] : []))
      for (const [name, secret] of keys) {
        const raw = Buffer.from(secret, 'base64').toString('hex')
        expect([datname, name, text.includes(secret)]).toEqual([datname, name, false])
        if (raw.length >= 64) expect([datname, name, text.includes(raw)]).toEqual([datname, name, false])
      }
    }
  })
  expect(looked).toEqual(expect.arrayContaining(['innkeeper_control', 'innkeeper_shared', 'innkeeper_schemas']))
})

/** Every row of every table, as text. */
function everythingIn(database: string): Promise<string> {
  return withAdmin(server().url(), database, {}, async (sql) => {
    const tables = await sql<{ name: string }[]>`
      select format('%I.%I', n.nspname, c.relname) as name from pg_class c join pg_namespace n on n.oid = c.relnamespace
      where c.relkind in ('r', 'm') and n.nspname not in ('pg_catalog', 'information_schema', 'pg_toast')`
    let text = ''
    for (const { name } of tables) {
      const rows = await sql.unsafe(`select to_jsonb(t)::text as row from ${name} t`)
      text += rows.map((r) => r.row as string).join('\n')
    }
    return text
  })
}

test.each(["it's 'quoted' \\ $1", 'plain', 'naïve ☃'])('a login works with the password %j', async (password) => {
  await withAdmin(server().url(), null, {}, async (sql) => {
    await sql.unsafe('drop role if exists scram_test')
    await sql.unsafe(`create role scram_test login password ${passwordLiteral(password)}`)
  })
  const url = server().url('postgres', 'scram_test', password)
  const [row] = await withAdmin(url, null, {}, (sql) => sql`select current_user as name`)
  expect(row!.name).toBe('scram_test')
})

test('what is sent is what the server would have made of the password', async () => {
  await withAdmin(server().url(), null, {}, async (sql) => {
    await sql.unsafe(`create role scram_own login password 'a password'`)
    const [row] = await sql`select rolpassword as kept from pg_authid where rolname = 'scram_own'`
    const salt = Buffer.from(/:([^$]+)\$/.exec(row!.kept as string)![1]!, 'base64')
    expect(passwordLiteral('a password', salt)).toBe(`'${row!.kept}'`)
  })
})
