import { z } from 'zod'
import { baseUrl, count, hostName, ms, origin } from './fields.ts'
import { residencyShape } from './residency.ts'

/** The one described schema of `innkeeper.config.ts`. Units are in the names; every default is here and nowhere else. */

const name = z
  .string()
  .regex(/^[a-z][a-z0-9-]{0,30}$/, 'use a lower-case letter, then up to 30 letters, digits or dashes')
const secretRef = z.strictObject({
  env: z.string().regex(/^[A-Z][A-Z0-9_]*$/, 'name an environment variable: capitals, digits, underscores'),
})
const publicKey = z
  .string()
  .refine((text) => Buffer.from(text, 'base64').length === 32, 'is not 32 bytes in base64: npx innkeeper peering-key')
const isolation = z.enum(['shared', 'schema', 'database'])

export const limitsShape = z.strictObject({
  requestsPerSecond: z.number().positive().default(50).describe('sustained requests per second of one tenant'),
  burst: count.default(100).describe('requests a tenant may make at once before the rate holds'),
  concurrency: count
    .default(20)
    .describe('requests of one tenant under way at once in one gateway, until their answers have been taken'),
  connectionsMax: count.default(8).describe('connections one tenant may hold in one gateway while others wait'),
  requestsPerDay: count.optional().describe('quota; no quota where it is left out'),
  rowsMax: z.number().int().min(1000).default(1000).describe('the most rows one answer holds; 1,000 or more'),
  bodyBytesMax: count.default(10 * 1024 * 1024),
  statementTimeoutMs: ms.default(10_000),
  transactionTimeoutMs: ms.default(30_000).describe('the longest an interactive transaction may be open'),
  idleInTransactionTimeoutMs: ms.default(10_000),
  lockTimeoutMs: ms.default(5_000),
})

export const awayShape = z.enum(['forward', 'redirect', 'reject'])

const tierShape = z.strictObject({
  isolation: isolation.describe('shared tables, a schema of its own, or a database of its own'),
  away: awayShape
    .default('reject')
    .describe("what another region's gateway does with a request: forward it home, redirect or reject the client"),
  limits: limitsShape.default(() => limitsShape.parse({})),
})

const tls = z
  .enum(['off', 'verify-full'])
  .default('off')
  .describe('verify-full: encrypted, certificate and name verified')
const caFile = z.string().min(1).optional().describe('PEM: the authorities believed in place of those of the runtime')
const identity = z
  .strictObject({ certFile: z.string().min(1), keyFile: z.string().min(1) })
  .optional()
  .describe('PEM: listens by https with it; left out behind a proxy that ends TLS')

const clusterShape = z.strictObject({
  url: secretRef.describe(
    'postgres:// URL of the application role, used by gateways of its region; it may name several hosts',
  ),
  adminUrl: secretRef.describe(
    "postgres:// URL of a role that may create roles and databases; used by the control plane and the region's mover",
  ),
  hosts: z.array(isolation).min(1).default(['shared', 'schema', 'database']),
  connectionsMax: count.default(40).describe('connections one gateway process opens to this cluster, at the most'),
  preparedStatements: z.boolean().default(true).describe('false behind PgBouncer before 1.21'),
  statementsPerConnectionMax: count.default(200),
  tls,
  caFile,
  storageEncrypted: z.boolean().default(false).describe('the operator states that its disks and backups are encrypted'),
  backups: z
    .array(z.strictObject({ region: name, retentionDays: count }))
    .default([])
    .describe('the operator states where backups of this server are kept, and for how long'),
  capacity: z
    .strictObject({
      shared: count.default(100_000),
      schema: count.default(2_000),
      database: count.default(200),
    })
    .default({ shared: 100_000, schema: 2_000, database: 200 })
    .describe('how many tenants of each isolation model it takes'),
  capacityBytes: count
    .optional()
    .describe(
      'what its databases may come to; a move that would pass it is refused. PostgreSQL does not know its disk',
    ),
  movesMax: count.default(2).describe('moves that copy from it or to it at a time; others wait'),
})

const keyPairs = {
  publicKeys: z
    .array(z.union([publicKey, secretRef]))
    .min(1)
    .describe('the public halves, which every region knows; others use the first, all are accepted'),
  keyPrevious: secretRef.optional().describe('the private half before a rotation, still accepted'),
}

const regionShape = z.strictObject({
  url: baseUrl.describe('where clients reach this region: https://us.example.com'),
  peerUrl: baseUrl.optional().describe('where gateways of other regions reach this one, if not at `url`'),
  key: secretRef.describe('32 or more random bytes, base64: the root of all keys of this region'),
  keyPrevious: secretRef.optional().describe('the key before a rotation, still accepted'),
  keyRing: z
    .array(secretRef)
    .min(1)
    .optional()
    .describe(
      'what seals what is stored, 32 or more random bytes, base64, each: the first seals, all open; else `key`',
    ),
  peering: z
    .strictObject({
      key: secretRef.describe('the private half of the key that what this region forwards is signed with, of X25519'),
      ...keyPairs,
    })
    .optional()
    .describe('without it nothing is forwarded to or from the region'),
  mover: z
    .strictObject({
      url: z
        .string()
        .regex(/^tcp:\/\/[^/:@?#]+:\d{1,5}$/, 'write tcp://host:port')
        .describe("where other regions' halves of the mover reach this region's: tcp://mover.eu.example.com:7432"),
      key: secretRef.describe(
        'the private half of the key that the channel between the halves is made with, of X25519',
      ),
      controlUrl: secretRef
        .optional()
        .describe(
          'the control database for it: a role that may only work on moves into its region; else `control.url`',
        ),
      ...keyPairs,
    })
    .optional()
    .describe("the region's half of the mover; where no region has one, the control plane moves tenants itself"),
  redisUrl: secretRef.optional().describe('Redis of this region; without it each gateway caches for itself'),
  caFile: caFile.describe("PEM: the authorities believed for the region's Redis, and for clusters without their own"),
  peerCaFile: caFile.describe('PEM: the authorities that gateways of other regions believe for `peerUrl`'),
  clusters: z.record(name, clusterShape).refine((c) => Object.keys(c).length > 0, 'a region needs a cluster'),
})

const strategy = z.enum(['domain', 'subdomain', 'path', 'header', 'credential'])

const jwtShape = z.strictObject({
  issuer: z.string().min(1),
  audience: z.string().min(1),
  jwksUrl: z.url({ protocol: /^https?$/, error: 'write https://host/path' }),
  caFile,
  algorithms: z
    .array(z.enum(['RS256', 'RS384', 'RS512', 'PS256', 'PS384', 'PS512', 'ES256', 'ES384', 'ES512', 'EdDSA']))
    .min(1)
    .default(['RS256', 'ES256', 'EdDSA']),
  tenantClaim: z.string().min(1).default('tenant').describe('holds a slug or an id; a dot reaches into objects'),
  rolesClaim: z.string().min(1).default('roles'),
  scopeClaim: z.string().min(1).default('scope').describe('`read` and `write`, by spaces or as a list'),
  clockToleranceS: z.number().int().min(0).max(300).default(30),
})

export const configShape = z.strictObject({
  control: z.strictObject({
    url: secretRef.describe('postgres:// URL of the control database, for the control plane'),
    readUrl: secretRef.optional().describe('the same for gateways: a role that may only read the directory'),
    tls,
    caFile,
    region: name
      .optional()
      .describe('where the control plane stands; without it no operator sees rows of a tenant that is kept to regions'),
    signingKey: secretRef
      .optional()
      .describe('32 or more random bytes, base64: signs certificates and reports; without it they are unsigned'),
    channel: z
      .strictObject({
        key: secretRef.describe(
          "the private half of the key that it proves itself to the regions' movers by, of X25519",
        ),
        ...keyPairs,
      })
      .optional()
      .describe('with it the control plane reads no credential of any region: it works there through their movers'),
  }),
  admin: z
    .strictObject({
      token: secretRef.default({ env: 'INNKEEPER_ADMIN_TOKEN' }),
      host: z.string().default('127.0.0.1'),
      port: z.number().int().min(0).max(65_535).default(9090),
      allowedHosts: z
        .array(z.string().min(1))
        .default([])
        .describe('host names, beside localhost and addresses, by which the admin API may be called'),
      tls: identity,
    })
    .prefault({}),
  regions: z.record(name, regionShape).refine((r) => Object.keys(r).length > 0, 'name at least one region'),
  tiers: z.record(name, tierShape).refine((t) => Object.keys(t).length > 0, 'name at least one tier'),
  residency: residencyShape
    .prefault({ profiles: {} })
    .describe('profiles that a tenant may have: where its data may be, and what else it asks for'),
  defaultTier: name.optional().describe('the tier of a tenant created without one; else the first'),
  identify: z
    .strictObject({
      strategies: z.array(strategy).min(1).default(['domain', 'subdomain', 'path', 'header', 'credential']),
      baseDomains: z.array(hostName).default(['localhost']).describe('{slug}.<base domain> names a tenant'),
      trustedPeers: z
        .array(z.string().min(1))
        .default([])
        .describe('addresses or CIDR blocks whose X-Forwarded-* and X-Tenant-ID are believed'),
    })
    .prefault({}),
  jwt: z.array(jwtShape).default([]),
  cors: z.strictObject({ origins: z.array(origin).default(['*']) }).prefault({}),
  http: z
    .strictObject({
      headerBytesMax: count.default(16 * 1024),
      requestTimeoutMs: ms.default(60_000).describe('until the answer begins; and without any of it being taken'),
      headersTimeoutMs: ms.default(15_000),
      drainMs: ms.default(7_000).describe('how long a shutdown waits for requests under way'),
      tls: identity,
    })
    .prefault({}),
  peering: z
    .strictObject({
      hopTtlMs: z.number().int().min(1_000).max(60_000).default(10_000).describe('how long the token of a hop is good'),
      connectionsMax: count.default(64).describe('connections of one gateway process to each other region'),
      requestsMax: count.default(2_000).describe('requests under way to one other region'),
      connectTimeoutMs: ms.default(2_000),
      answerTimeoutMs: ms.default(60_000).describe("how long the home region's answer may take to begin"),
      idleTimeoutMs: ms.default(30_000).describe('the longest pause within an answer'),
    })
    .prefault({}),
  directory: z
    .strictObject({
      entriesMax: count.default(100_000),
      ttlMs: count.default(60_000),
      negativeTtlMs: count.default(5_000),
      staleMs: count.default(24 * 3_600_000).describe('how long old answers serve while the control database is down'),
      persistFolder: z
        .string()
        .min(1)
        .optional()
        .describe('keeps what a gateway knows on disk, so that it can start while the control database is down'),
      persistMs: ms.default(10_000).describe('how often it is written, where anything was learnt'),
      pollMs: ms.default(400).describe('how often lost notifications are looked for'),
    })
    .prefault({}),
  pools: z
    .strictObject({
      idleMs: ms.default(60_000),
      queuePerTenantMax: count.default(200),
      queueWaitMs: ms.default(5_000),
      movingWaitMs: ms.default(10_000).describe('how long a request waits for a tenant that is being moved'),
      connectTimeoutMs: ms.default(5_000),
    })
    .prefault({}),
  moves: z
    .strictObject({
      collationSkew: z
        .enum(['refuse', 'accept'])
        .default('refuse')
        .describe('where two clusters sort text by different versions of one library'),
      throttle: z
        .union([
          z.literal('off'),
          z
            .strictObject({
              ratioMax: z
                .number()
                .min(1)
                .max(100)
                .default(1.2)
                .describe("how many times its latency at rest a server's may be while a move copies"),
              partMin: z.number().min(0.01).max(1).default(0.05).describe('of the time a copy always has'),
              partMax: z
                .number()
                .min(0.01)
                .max(1)
                .default(0.33)
                .describe('of the time a copy has at most: 1 where a server has processors to spare'),
            })
            .refine((t) => t.partMin <= t.partMax, { path: ['partMin'], error: 'is more than partMax' }),
        ])
        .prefault({}),
    })
    .prefault({}),
  telemetry: z
    .strictObject({
      otlpUrl: baseUrl.optional().describe('OTLP over HTTP, the base: http://collector:4318'),
      caFile,
      traceRatio: z.number().min(0).max(1).default(1),
      tenantLabelsMax: count.default(1_000).describe('tenants with a metric label of their own; the rest are `other`'),
      logLevel: z.enum(['debug', 'info', 'warn', 'error', 'silent']).default('info'),
    })
    .prefault({}),
})

export type ConfigInput = z.input<typeof configShape>
export type ParsedConfig = z.output<typeof configShape>
export type Limits = z.output<typeof limitsShape>
export type AwayPolicy = z.output<typeof awayShape>
export type TierConfig = z.output<typeof tierShape>
/** With the authorities that its `caFile` held, once a configuration is resolved. */
export type JwtConfig = z.output<typeof jwtShape> & { readonly ca?: string | null }
export type IdentifyStrategy = z.output<typeof strategy>
