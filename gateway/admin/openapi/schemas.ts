import { STATES } from '../../../tiers/move/states.ts'
import { ROLES } from '../../../tiers/operators/roles.ts'

/** What the admin API answers with, as JSON Schema. Requests are described by the shapes that check them. */

const text = { type: 'string' } as const
const time = { type: 'string', format: 'date-time' } as const
const uuid = { type: 'string', format: 'uuid' } as const
const count = { type: 'integer', minimum: 0 } as const
const isolation = { enum: ['shared', 'schema', 'database'] } as const
const nullable = <S extends object>(schema: S) => ({ anyOf: [schema, { type: 'null' }] })
const list = (name: string) => ({ type: 'array', items: ref(name) })

export const ref = (name: string) => ({ $ref: `#/components/schemas/${name}` })

function object(properties: Readonly<Record<string, unknown>>, optional: readonly string[] = []) {
  return { type: 'object', properties, required: Object.keys(properties).filter((p) => !optional.includes(p)) }
}

const key = {
  id: uuid,
  name: text,
  scopes: { type: 'array', items: { enum: ['read', 'write'] } },
  status: { enum: ['active', 'expired', 'revoked'] },
  createdAt: time,
  expiresAt: nullable(time),
  revokedAt: nullable(time),
}

const operator = {
  id: uuid,
  name: text,
  role: { enum: ROLES },
  status: { enum: ['active', 'expired', 'revoked'] },
  createdAt: time,
  expiresAt: nullable(time),
}

export const schemas = {
  Document: { type: 'object' },
  ResidencyReport: object({ document: { type: 'object' }, signature: nullable(text), keyId: nullable(text) }),
  Operator: object(operator),
  NewOperator: object({ ...operator, token: { ...text, description: 'Nobody can show it again.' } }),
  Operators: object({ operators: list('Operator'), next: nullable(text) }),
  AuditEntry: object({
    seq: count,
    at: time,
    hash: text,
    action: text,
    actor: text,
    role: text,
    reason: nullable(text),
    requestId: nullable(text),
    tenantId: nullable(uuid),
    tenant: nullable(text),
    outcome: { enum: ['begun', 'done', 'failed', 'refused'] },
    before: {},
    after: {},
    details: {},
  }),
  AuditPage: object({ entries: list('AuditEntry'), next: nullable(count) }),
  AuditProof: object({
    ok: { type: 'boolean' },
    entries: count,
    head: { ...text, description: 'To be written down elsewhere, and given as the anchor of a later proof.' },
    faults: { type: 'array', items: object({ seq: count, fault: text }) },
  }),
  Placement: object({ cluster: text, database: text, schema: text, isolation, epoch: { type: 'integer', minimum: 1 } }),
  Tenant: object({
    id: uuid,
    slug: text,
    tier: text,
    isolation: nullable(isolation),
    region: text,
    status: { enum: ['provisioning', 'active', 'suspended', 'offboarded'] },
    away: nullable({ enum: ['forward', 'redirect', 'reject'] }),
    profile: nullable(text),
    pinned: nullable({ type: 'array', items: text }),
    placement: nullable(ref('Placement')),
    domains: { type: 'array', items: text },
    url: nullable(text),
    version: count,
    createdAt: time,
    updatedAt: time,
  }),
  TenantPage: object({ tenants: list('Tenant'), next: nullable(text) }),
  Key: object(key),
  NewKey: object({ ...key, apiKey: { ...text, description: 'The key itself; nobody can show it again.' } }),
  Keys: object({ keys: list('Key'), next: nullable(text) }),
  Domains: object({ domains: { type: 'array', items: text } }),
  Domain: object({ domain: text, tenant: text }),
  Rows: object({
    command: text,
    columns: { type: 'array', items: text, description: 'Their names, in their order; two may have one name.' },
    rowCount: count,
    rows: {
      type: 'array',
      items: { type: 'array' },
      description: 'The values by column. What JSON cannot hold, such as NaN, is the text that PostgreSQL writes.',
    },
    truncated: { type: 'boolean', description: 'There were more rows than the limit.' },
  }),
  Home: object({ placement: ref('Placement'), tier: text, region: text }),
  Move: object({
    id: uuid,
    tenantId: uuid,
    state: { enum: STATES },
    from: ref('Home'),
    to: ref('Home'),
    request: nullable({ enum: ['abort', 'rollback', 'complete'] }),
    requestedBy: nullable({ ...text, description: 'Who made the last request.' }),
    progress: object({
      rowsTotal: count,
      rows: count,
      bytes: count,
      rowsPerSecond: { ...count, description: 'Of the copy.' },
      verified: { ...count, description: 'Rows that were hashed at both sides.' },
      verifiedPerSecond: count,
      lag: { ...count, description: 'Changes at the source that are not at the target yet.' },
      passes: count,
      throttled: {
        type: 'number',
        description: 'The part of its full speed that the neighbours do not leave it: 0 to 1.',
      },
      etaS: nullable({ ...count, description: 'Seconds until the copy, or the verification, is through.' }),
    }),
    reason: nullable(text),
    attempts: count,
    pauseMs: nullable({ type: 'number', description: 'For how long requests waited, as the mover saw it.' }),
    askedBy: text,
    watchUntil: nullable(time),
    certificate: nullable({ type: 'object' }),
    createdAt: time,
    updatedAt: time,
    endedAt: nullable(time),
  }),
  Moves: object({ moves: list('Move'), next: nullable(text) }),
  Certificate: object({
    document: {
      type: 'object',
      description:
        'Places, epochs, times, who asked, counts and hashes of every table, and what was looked at afterwards.',
    },
    signature: nullable({
      ...text,
      description: 'Ed25519 over the canonical JSON (RFC 8785) of the document, base64url.',
    }),
    keyId: nullable({ ...text, description: 'The public key, base64url.' }),
  }),
  Refusal: object({ object: text, fault: text, fix: text }),
  MovePlan: object({
    kind: { enum: ['limits', 'room'] },
    from: ref('Home'),
    to: ref('Home'),
    tables: { type: 'array', items: object({ name: text, rows: count, bytes: count }) },
    rows: count,
    bytes: count,
    etaS: count,
    refusals: list('Refusal'),
    notes: { type: 'array', items: text, description: 'What does not stop it, and is to be known.' },
    wayBack: { type: 'boolean', description: 'Whether it can be rolled back once it has moved.' },
  }),
  RoomFailure: object({
    cluster: text,
    database: text,
    schema: text,
    code: text,
    message: text,
    details: nullable(text),
    hint: nullable(text),
  }),
  Migration: object(
    {
      ok: { type: 'boolean' },
      rooms: count,
      migrated: count,
      completedMoves: { type: 'array', items: uuid },
      failures: list('RoomFailure'),
    },
    ['completedMoves'],
  ),
  Check: object({ name: text, status: { enum: ['ok', 'warn', 'fail'] }, message: text, fix: nullable(text) }),
  Incarnation: object({
    number: count,
    adopted: {
      type: 'array',
      description: 'Tenants that the data says live elsewhere than the directory said.',
      items: object({ tenant: text, from: ref('Placement'), to: ref('Placement') }),
    },
    moves: { type: 'array', items: object({ move: uuid, was: text, now: text }) },
    unclear: { type: 'array', description: 'What a person has to look at.', items: text },
  }),
  Diagnosis: object({ status: { enum: ['ok', 'warn', 'fail'] }, checks: list('Check') }),
  Problem: object(
    {
      type: text,
      title: text,
      status: { type: 'integer' },
      detail: text,
      instance: text,
      code: text,
      message: text,
      details: nullable(text),
      hint: nullable(text),
      field: text,
    },
    ['field'],
  ),
} as const
