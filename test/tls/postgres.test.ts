import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { openMoverClient } from '../../tiers/move/mover-client.ts'
import { ClusterPool } from '../../tiers/pg/cluster-pool.ts'
import { hostProbe } from '../../tiers/pg/host-probe.ts'
import { openLink } from '../../tiers/pg/link.ts'
import type { PostgresServer } from '../../tiers/pg/server.ts'
import { run } from '../pools/writers.ts'
import { type Authority, makeAuthority, type Shown, whatServersShow } from '../support/certificates.ts'
import { startTlsPostgres, type TlsPostgres } from '../support/tls-postgres.ts'

const known = await makeAuthority('known')
const stranger = await makeAuthority('stranger')

/** Every way in which Innkeeper speaks to PostgreSQL. What is open is closed by the one who opened it. */
const LINKS: Record<string, (server: PostgresServer) => Promise<unknown>> = {
  async 'a tenant’s statements'(server) {
    const pool = poolOf(server)
    return run(pool, IS_TLS).finally(() => pool.close(0))
  },
  async 'directory, keys, control plane and installer'(server) {
    const link = openLink(server, { applicationName: 'test', max: 1, connectTimeoutMs: 3_000 })
    const [row] = await link.sql.unsafe(IS_TLS).finally(() => link.close(0))
    return row!.ssl
  },
  async 'the mover'(server) {
    const client = await openMoverClient({ ...server, database: 'postgres', applicationName: 'test' })
    const [row] = await client.query<{ ssl: boolean }>(IS_TLS).finally(() => client.close())
    return row!.ssl
  },
  async 'the watch over several hosts'(server) {
    const probe = hostProbe(server.url, server)
    const answer = await probe.ask().finally(() => probe.close())
    if (answer.kind === 'silent') throw answer.error
    return answer.kind === 'primary'
  },
}
const IS_TLS = 'select ssl from pg_stat_ssl where pid = pg_backend_pid()'

const poolOf = (server: PostgresServer) =>
  new ClusterPool({
    ...server,
    cluster: 'us-1',
    connectionsMax: 2,
    statementsMax: 50,
    connectTimeoutMs: 3_000,
    idleMs: 60_000,
    queueWaitMs: 10_000,
    queuePerTenantMax: 10,
  })

describe.skipIf(known === null || stranger === null)('with tls: verify-full', () => {
  let on: TlsPostgres
  let shows: Shown[]
  beforeAll(async () => {
    on = await startTlsPostgres()
    shows = await whatServersShow(known!, stranger!)
  })
  afterAll(() => on?.stop())

  const serverBy = (name: string, { ca }: Authority): PostgresServer => ({
    url: on.server.url().replace('@127.0.0.1:', `@${name}:`),
    tls: 'verify-full',
    ca,
  })

  test.each(Object.keys(LINKS))(
    '%s: a server is believed by its certificate alone, whether named or numbered',
    async (name) => {
      const link = LINKS[name]!
      for (const shown of shows) {
        await on.show(shown.certificate)
        for (const host of ['localhost', '127.0.0.1']) {
          const answer = await link(serverBy(host, known!)).catch((error: Error) => error)
          if (shown.isGood) expect([host, shown.name, answer]).toEqual([host, shown.name, true])
          else expect(answer, `${host} showed ${shown.name}`).toBeInstanceOf(Error)
        }
      }
    },
  )

  test.each(Object.keys(LINKS))('%s: a certificate for a name does not do for an address', async (name) => {
    await on.show(await known!.issue('DNS:localhost'))
    expect(await LINKS[name]!(serverBy('localhost', known!))).toBe(true)
    const answer = await LINKS[name]!(serverBy('127.0.0.1', known!)).catch((error: Error) => error)
    expect(answer).toBeInstanceOf(Error)
  })

  test('a statement is cancelled over a verified link as well', async () => {
    await on.show(shows[0]!.certificate)
    const pool = poolOf(serverBy('localhost', known!))
    const lease = await pool.lease({ database: 'postgres', tenant: 'a', share: 1 })
    const controller = new AbortController()
    const step = { text: 'select pg_sleep(60)', params: [], prepared: false, rows: 'none' as const }
    const running = lease.connection.run([step], controller.signal)
    setTimeout(() => controller.abort(), 200)
    expect((await running).error).toMatchObject({ code: '57014' })
    lease.release()
    await pool.close(0)
  })
})
