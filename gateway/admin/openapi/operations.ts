import type { z } from 'zod'
import {
  moveQuery,
  newDomain,
  newKey,
  newMove,
  newTenant,
  removal,
  residencyChange,
  statement,
  tenantChange,
  tenantQuery,
} from '../shapes.ts'
import type { schemas } from './schemas.ts'

export interface Operation {
  readonly method: 'get' | 'post' | 'patch' | 'delete'
  readonly path: string
  readonly id: string
  readonly summary: string
  readonly body?: z.ZodType
  readonly query?: z.ZodObject
  readonly headers?: Readonly<Record<string, string>>
  /** What it answers with, by status. */
  readonly answers: Readonly<Record<number, keyof typeof schemas>>
  /** Problems beside those that every operation may have. */
  readonly problems?: readonly number[]
}

const TENANT = '/admin/v1/tenants/{slug}'
const MOVE = '/admin/v1/moves/{id}'
const reason = { 'X-Reason': 'Why, for the log.' }

export const operations: readonly Operation[] = [
  {
    method: 'get',
    path: '/admin/v1/tenants',
    id: 'listTenants',
    summary: 'Tenants by name, page by page; the header Link leads to the next one',
    query: tenantQuery,
    answers: { 200: 'TenantPage' },
  },
  {
    method: 'post',
    path: '/admin/v1/tenants',
    id: 'createTenant',
    summary: 'Makes a tenant with its room; 200 where an earlier call with the same key made it',
    body: newTenant,
    headers: { ...reason, 'Idempotency-Key': 'Makes a repeated call find the tenant of the first one.' },
    answers: { 200: 'Tenant', 201: 'Tenant' },
    problems: [409],
  },
  { method: 'get', path: TENANT, id: 'showTenant', summary: 'One tenant', answers: { 200: 'Tenant' }, problems: [404] },
  {
    method: 'patch',
    path: TENANT,
    id: 'changeTenant',
    summary: 'Suspends or resumes it, or gives it another away policy or tier of the same isolation model',
    body: tenantChange,
    headers: reason,
    answers: { 200: 'Tenant' },
    problems: [404, 409, 410],
  },
  {
    method: 'delete',
    path: TENANT,
    id: 'offboardTenant',
    summary: 'Removes the tenant, its room and all of its data',
    body: removal,
    headers: reason,
    answers: { 200: 'Tenant' },
    problems: [404],
  },
  {
    method: 'patch',
    path: `${TENANT}/residency`,
    id: 'changeResidency',
    summary: 'Says what it is kept to from now on: a profile, regions, or both; it has to keep it already',
    body: residencyChange,
    answers: { 200: 'Tenant' },
    problems: [403, 404, 410],
  },
  {
    method: 'get',
    path: `${TENANT}/keys`,
    id: 'listKeys',
    summary: 'Its API keys, the newest first, without their texts',
    answers: { 200: 'Keys' },
    problems: [404],
  },
  {
    method: 'post',
    path: `${TENANT}/keys`,
    id: 'createKey',
    summary: 'Makes a key and shows its text this once',
    body: newKey,
    headers: reason,
    answers: { 201: 'NewKey' },
    problems: [404, 410],
  },
  {
    method: 'delete',
    path: `${TENANT}/keys/{id}`,
    id: 'revokeKey',
    summary: 'Refuses a key from now on, at every gateway within a second',
    body: removal,
    headers: reason,
    answers: { 200: 'Key' },
    problems: [404],
  },
  {
    method: 'get',
    path: `${TENANT}/domains`,
    id: 'listDomains',
    summary: 'Its own host names',
    answers: { 200: 'Domains' },
    problems: [404],
  },
  {
    method: 'post',
    path: `${TENANT}/domains`,
    id: 'addDomain',
    summary: 'Gives it a host name of its own; 200 where it has it already',
    body: newDomain,
    headers: reason,
    answers: { 200: 'Domain', 201: 'Domain' },
    problems: [404, 409, 410],
  },
  {
    method: 'delete',
    path: `${TENANT}/domains/{domain}`,
    id: 'removeDomain',
    summary: 'Takes a host name away',
    body: removal,
    headers: reason,
    answers: { 200: 'Domain' },
    problems: [404],
  },
  {
    method: 'post',
    path: `${TENANT}/sql`,
    id: 'runSql',
    summary: "Runs one statement in the tenant's room with the tenant's rights; every use is logged",
    body: statement,
    headers: reason,
    answers: { 200: 'Rows' },
    problems: [403, 404, 410],
  },
  {
    method: 'post',
    path: `${TENANT}/moves`,
    id: 'startMove',
    summary: 'Moves it to another tier, region or cluster while it is used; a dry run answers with the plan',
    body: newMove,
    headers: reason,
    answers: { 200: 'MovePlan', 202: 'Move' },
    problems: [404, 409, 410],
  },
  {
    method: 'get',
    path: '/admin/v1/moves',
    id: 'listMoves',
    summary: 'Moves, the newest first',
    query: moveQuery,
    answers: { 200: 'Moves' },
    problems: [404],
  },
  { method: 'get', path: MOVE, id: 'showMove', summary: 'One move', answers: { 200: 'Move' }, problems: [404] },
  {
    method: 'get',
    path: `${MOVE}/events`,
    id: 'followMove',
    summary: 'The move as it is, then at every change, as text/event-stream; the last event is called end',
    answers: { 200: 'Move' },
    problems: [404],
  },
  {
    method: 'get',
    path: `${MOVE}/certificate`,
    id: 'showCertificate',
    summary:
      'What was moved, that it was the same on both sides, and that nothing is left: signed, to be checked offline',
    answers: { 200: 'Certificate' },
    problems: [404, 409],
  },
  {
    method: 'post',
    path: `${MOVE}/abort`,
    id: 'abortMove',
    summary: 'Ends it before the tenant has moved: it stays where it is',
    body: removal,
    headers: reason,
    answers: { 202: 'Move' },
    problems: [404, 409],
  },
  {
    method: 'post',
    path: `${MOVE}/rollback`,
    id: 'rollBackMove',
    summary: 'Brings the tenant back where it came from, with all that was written since',
    body: removal,
    headers: reason,
    answers: { 202: 'Move' },
    problems: [404, 409],
  },
  {
    method: 'post',
    path: `${MOVE}/complete`,
    id: 'completeMove',
    summary: 'Removes the room that the tenant left',
    body: removal,
    headers: reason,
    answers: { 202: 'Move' },
    problems: [404, 409],
  },
  {
    method: 'post',
    path: '/admin/v1/migrations',
    id: 'migrate',
    summary:
      'Brings every room up to date; progress as application/x-ndjson or text/event-stream to whoever accepts it',
    body: removal,
    headers: reason,
    answers: { 200: 'Migration' },
    problems: [409, 422],
  },
  {
    method: 'get',
    path: '/admin/v1/doctor',
    id: 'diagnose',
    summary: 'Looks at databases, roles, rooms, fences and keys; changes nothing',
    answers: { 200: 'Diagnosis' },
  },
]
