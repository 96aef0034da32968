import { expect, test } from 'vitest'
import { DEMO_PERIOD } from '../../gateway/dev/demo/period.ts'
import { demoRows } from '../../gateway/dev/demo/rows.ts'
import { DEMO_TENANTS } from '../../gateway/dev/demo/tenants.ts'

type Row = Record<string, unknown>
type Tables = Record<string, Row[]>

function tablesOf(slug: string, rowCount = 5_000): Tables {
  return Object.fromEntries(
    demoRows(slug, rowCount).map(({ table, columns, rows }) => [
      table,
      rows.map((row) => Object.fromEntries(columns.map((column, at) => [column, row[at]]))),
    ]),
  )
}

const acme = tablesOf('acme')
const ids = (table: string) => new Set(acme[table]!.map((row) => row.id))
const time = (value: unknown) => (value as Date).getTime()

test('every pair of tier and region has a demo tenant', () => {
  const pairs = DEMO_TENANTS.map(({ tier, region }) => `${tier} ${region}`)
  expect(new Set(pairs)).toEqual(new Set(['free', 'pro', 'enterprise'].flatMap((t) => [`${t} eu`, `${t} us`])))
})

test.each([5_000, 12_345, 40])('at least %i rows when so many are asked for', (rowCount) => {
  const total = demoRows('acme', rowCount).reduce((sum, { rows }) => sum + rows.length, 0)
  expect(total).toBeGreaterThanOrEqual(rowCount)
  expect(total).toBeLessThan(rowCount + 60)
})

test('a tenant has the same data on every call, and other data than another tenant', () => {
  expect(tablesOf('acme')).toEqual(acme)
  expect(tablesOf('globex').customers).not.toEqual(acme.customers)
})

test.each([
  ['tickets', 'customer_id', 'customers'],
  ['tickets', 'agent_id', 'agents'],
  ['comments', 'ticket_id', 'tickets'],
  ['comments', 'agent_id', 'agents'],
  ['ticket_tags', 'ticket_id', 'tickets'],
  ['ticket_tags', 'tag_id', 'tags'],
])('every %s.%s is in %s, which is loaded before', (table, column, target) => {
  const targets = ids(target)
  const values = acme[table]!.map((row) => row[column]).filter((value) => value !== null)
  expect(values.length).toBeGreaterThan(100)
  expect(values.filter((value) => !targets.has(value))).toEqual([])
  const order = Object.keys(acme)
  expect(order.indexOf(target)).toBeLessThan(order.indexOf(table))
})

test('ids go from 1 without gaps', () => {
  for (const table of ['customers', 'agents', 'tags', 'tickets', 'comments']) {
    expect(acme[table]!.map((row) => row.id)).toEqual(acme[table]!.map((_, at) => at + 1))
  }
})

test.each(DEMO_TENANTS)('what must be unique is unique for $slug', ({ slug }) => {
  const tables = tablesOf(slug)
  const keys = {
    customers: (row: Row) => row.email,
    agents: (row: Row) => row.email,
    tags: (row: Row) => row.name,
    ticket_tags: (row: Row) => `${row.ticket_id} ${row.tag_id}`,
  }
  for (const [table, key] of Object.entries(keys)) {
    expect(new Set(tables[table]!.map(key)).size).toBe(tables[table]!.length)
  }
  for (const { email } of [...tables.customers!, ...tables.agents!])
    expect(email).toMatch(/^[a-z.]+\d*@[a-z0-9-]+\.example$/)
})

test('a ticket has a date of resolution when, and only when, it is resolved or closed', () => {
  for (const ticket of acme.tickets!) {
    expect(ticket.resolved_at !== null).toBe(ticket.status === 'resolved' || ticket.status === 'closed')
    if (ticket.status !== 'open') expect(ticket.agent_id).not.toBe(null)
  }
  expect(new Set(acme.tickets!.map(({ status }) => status))).toEqual(new Set(['open', 'pending', 'resolved', 'closed']))
})

test('nothing happens before its cause, or after the period', () => {
  const [customers, tickets] = [acme.customers!, acme.tickets!]
  for (const ticket of tickets) {
    expect(time(ticket.created_at)).toBeGreaterThanOrEqual(
      time(customers[(ticket.customer_id as number) - 1]!.created_at),
    )
    expect(time(ticket.updated_at)).toBeGreaterThanOrEqual(time(ticket.created_at))
    if (ticket.resolved_at !== null) expect(time(ticket.resolved_at)).toBeGreaterThan(time(ticket.created_at))
  }
  for (const comment of acme.comments!) {
    const ticket = tickets[(comment.ticket_id as number) - 1]!
    expect(time(comment.created_at)).toBeGreaterThanOrEqual(time(ticket.created_at))
    expect(time(comment.created_at)).toBeLessThanOrEqual(time(ticket.updated_at))
  }
  const moments = Object.values(acme).flatMap((rows) => rows.flatMap((row) => Object.values(row)))
  const latest = Math.max(...moments.filter((value) => value instanceof Date).map(time))
  expect(latest).toBeLessThanOrEqual(DEMO_PERIOD.to.getTime())
})

test('texts have no placeholder left, and are worth reading', () => {
  for (const { subject, body } of acme.tickets!) expect(`${subject} ${body}`).not.toMatch(/[{}]|undefined/)
  for (const { body } of acme.comments!) expect(body).not.toMatch(/[{}]|undefined/)
  expect(new Set(acme.tickets!.map(({ body }) => body)).size).toBeGreaterThan(acme.tickets!.length * 0.8)
})
