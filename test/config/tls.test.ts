import { expect, test } from 'vitest'
import { type ConfigError, resolveConfig } from '../../config/index.ts'
import input from '../../config/innkeeper.config.ts'

test('an authority that is named for a link in clear is a fault, wherever it is named', () => {
  const caFile = '/nowhere/ca.pem'
  const { us } = input.regions
  const jwt = { issuer: 'i', audience: 'a', jwksUrl: 'http://issuer/jwks', caFile }
  const config = {
    ...input,
    control: { ...input.control, caFile },
    regions: {
      us: {
        ...us!,
        url: 'https://us.example.com',
        peerUrl: 'http://us.internal',
        peerCaFile: caFile,
        clusters: { 'us-1': { ...us!.clusters['us-1']!, caFile } },
      },
    },
    residency: { profiles: {} },
    jwt: [jwt],
    telemetry: { otlpUrl: 'http://collector', caFile },
  }
  const thrown = (() => {
    try {
      return resolveConfig(config, { kind: 'gateway', region: 'us' }, {})
    } catch (error) {
      return error as ConfigError
    }
  })() as ConfigError
  const places = thrown.faults.filter((f) => f.what.includes('in clear')).map((f) => f.where)
  expect(places).toEqual([
    'control.caFile',
    'regions.us.peerCaFile',
    'regions.us.clusters.us-1.caFile',
    'jwt.0.caFile',
    'telemetry.caFile',
  ])
})
