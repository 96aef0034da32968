import { cp, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { type ConfigInput, resolveConfig } from '../../config/index.ts'
import { openControlPlane } from '../../tiers/control/control-plane.ts'
import { startTwoClusters } from '../move/support/two-clusters.ts'
import type { TestSystem } from '../support/system.ts'
import { temporaryFolder } from '../support/temporary.ts'

let system: TestSystem
beforeAll(async () => {
  system = await startTwoClusters([{ slug: 'acme', tier: 'free', region: 'us' }])
})
afterAll(() => system?.close())

test('a pool in which tenants live takes its migrations where its cluster takes no more of them', async () => {
  const { input, env, control } = system
  const { cluster, database } = (await control.tenant('acme')).placement!
  const folder = await temporaryFolder('migrations')
  await cp(system.migrationsFolder, folder, { recursive: true })
  await writeFile(join(folder, '9998_late.sql'), 'create table "{room}".late (tenant_id uuid primary key);')
  const us = input.regions.us!
  const clusters = { ...us.clusters, [cluster]: { ...us.clusters[cluster]!, hosts: ['schema', 'database'] } }
  const drained = { ...input, regions: { ...input.regions, us: { ...us, clusters } } } as ConfigInput
  const config = resolveConfig(drained, { kind: 'control' }, env)
  const plane = openControlPlane({ config, migrationsFolder: folder })
  try {
    expect(await plane.migrate()).toMatchObject({ failures: [] })
    expect(await control.makerOf(cluster).admin(database)`select from app.late`).toEqual([])
  } finally {
    await plane.close()
    await rm(folder, { recursive: true })
  }
})
