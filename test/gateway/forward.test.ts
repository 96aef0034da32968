import { afterAll, beforeAll, expect, test } from 'vitest'
import { type Regions, startRegions } from './regions.ts'

let regions: Regions
beforeAll(async () => {
  regions = await startRegions()
}, 120_000)
afterAll(() => regions?.close())

test("a request for another region's tenant is forwarded home and answered as if it had been sent there", async () => {
  const { us, eu } = regions
  const path = '/t/umbrella/v1/whoami'
  const home = await eu.ask(path, { as: 'umbrella' })
  const away = await us.ask(path, { as: 'umbrella' })
  expect(away.status).toBe(200)
  expect(away.json).toEqual(home.json)
  expect(away.headers['server-timing']).toMatch(/^hop;desc="eu";dur=[\d.]+$/)
})
