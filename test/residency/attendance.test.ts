import postgres from 'postgres'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { openAttendance } from '../../tiers/residency/attendance.ts'
import { BUSY } from '../support/busy.ts'
import { type Link, openLink } from '../support/link.ts'
import { startTestSystem, type TestSystem } from '../support/system.ts'

const HUNG_MS = 3_000 * BUSY

let system: TestSystem
let link: Link
let url: string
beforeAll(async () => {
  system = await startTestSystem({ tenants: [{ slug: 'acme', tier: 'free', region: 'us' }] })
  const direct = system.env.INNKEEPER_CONTROL_URL!
  link = await openLink(Number(new URL(direct).port))
  url = link.through(direct)
})
afterAll(async () => {
  await link?.close()
  await system?.close()
})

test(
  'what a control database that says nothing was not told, it is told when it answers again',
  async () => {
    const attendance = openAttendance({ server: { url }, region: 'us', version: '1', answerMs: 200 })
    await attendance.flush()
    const { id } = await system.control.tenant('acme')
    attendance.served(id, 'home')
    link.set('drop')
    await attendance.flush()
    link.set('pass')
    await attendance.flush()
    const sql = postgres(system.env.INNKEEPER_CONTROL_URL!, { max: 1 })
    const served = await sql`select how from gateway_tenants where gateway_id = ${attendance.id} and tenant_id = ${id}`
    await sql.end()
    await attendance.close()
    expect([...served]).toEqual([{ how: 'home' }])
  },
  HUNG_MS,
)

test(
  'a gateway stops although the control database says nothing while it is being written to',
  async () => {
    const attendance = openAttendance({ server: { url }, region: 'us', version: '1' })
    await attendance.flush()
    link.set('drop')
    void attendance.flush()
    await attendance.close()
  },
  HUNG_MS,
)
