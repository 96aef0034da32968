import type { RequestListener } from 'node:http'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { freePort } from '../../gateway/dev/postgres/port.ts'
import { createKeySource } from '../../gateway/edge/jwks.ts'
import { createTelemetry } from '../../gateway/telemetry/telemetry.ts'
import { regionCache } from '../../tiers/move/region-cache.ts'
import type { TenantId } from '../../tiers/types.ts'
import { type Certificate, makeAuthority, type Shown, whatServersShow } from '../support/certificates.ts'
import { startHttps, type TestHttps } from '../support/https.ts'
import { startProgram } from '../support/program.ts'
import { temporaryFolder } from '../support/temporary.ts'

const known = await makeAuthority('known')
const stranger = await makeAuthority('stranger')

describe.skipIf(known === null || stranger === null)(
  'over https and rediss, a server is believed by its certificate alone:',
  () => {
    let shows: Shown[]
    const servers: TestHttps[] = []
    beforeAll(async () => {
      shows = await whatServersShow(known!, stranger!)
    })
    afterAll(async () => {
      for (const server of servers) await server.close()
    })

    const listen = async (certificate: Certificate | null, listener: RequestListener) => {
      const server = await startHttps(certificate, listener)
      servers.push(server)
      return server.port
    }

    test('the keys of a token issuer', async () => {
      for (const { certificate, isGood, name } of shows) {
        let asked = 0
        const port = await listen(certificate, (_req, res) => {
          asked++
          res.setHeader('content-type', 'application/json').end('{"keys":[]}')
        })
        const keys = createKeySource({ url: new URL(`https://localhost:${port}/jwks`), ca: known!.ca })
        const answer = await Promise.resolve(keys({ alg: 'ES256', kid: 'x' }, {} as never)).catch((e: Error) => e)
        // No such key in the set that was read, or no set at all.
        expect([name, (answer as { code: string }).code]).toEqual([
          name,
          isGood ? 'ERR_JWKS_NO_MATCHING_KEY' : 'directory_unavailable',
        ])
        expect(asked > 0, name).toBe(isGood)
      }
    })

    test('the collector of traces and metrics', async () => {
      for (const { certificate, isGood, name } of shows) {
        const paths = new Set<string>()
        const port = await listen(certificate, (req, res) => {
          paths.add(req.url!)
          req.resume().on('end', () => res.setHeader('content-type', 'application/json').end('{}'))
        })
        const telemetry = createTelemetry(
          {
            otlpUrl: `https://localhost:${port}`,
            ca: known!.ca,
            traceRatio: 1,
            tenantLabelsMax: 10,
            logLevel: 'silent',
          },
          { service: 'test', region: 'us' },
        )
        telemetry.tracer.startSpan('one').end()
        telemetry.meter.createCounter('one').add(1)
        await telemetry.shutdown()
        expect([name, [...paths].sort()]).toEqual([name, isGood ? ['/v1/metrics', '/v1/traces'] : []])
      }
    })

    test("a region's Redis", async ({ skip }) => {
      const tenant = { tenant: 'x' as TenantId, slug: 'x', region: 'us', hasLeft: false, placement: {} as never }
      for (const { certificate, isGood, name } of shows) {
        const [port, folder] = await Promise.all([freePort(), temporaryFolder('redis')])
        const own = ['--bind', '127.0.0.1', '--save', '', '--appendonly', 'no', '--dir', folder]
        const tls =
          certificate === null
            ? ['--port', `${port}`]
            : ['--port', '0', '--tls-port', `${port}`, '--tls-auth-clients', 'no', '--tls-ca-cert-file', known!.caFile]
        const shown =
          certificate === null ? [] : ['--tls-cert-file', certificate.certFile, '--tls-key-file', certificate.keyFile]
        const redis = await startProgram('redis-server', [...own, ...tls, ...shown], port, folder)
        if (redis === null) return skip('no redis-server on this machine')
        const answer = await regionCache({ url: `rediss://localhost:${port}`, ca: known!.ca })
          .count(tenant)
          .catch((e: Error) => e)
        if (isGood) expect([name, answer]).toEqual([name, 0])
        else expect(answer, name).toBeInstanceOf(Error)
        await redis.stop()
      }
    })
  },
)
