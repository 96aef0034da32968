import { onTestFinished, test } from 'vitest'
import type { ClusterConfig } from '../../config/index.ts'
import { createVigil } from '../../tiers/move/vigil.ts'
import { openLink as openAdmin } from '../../tiers/pg/link.ts'
import { openLink } from '../support/link.ts'
import { startTestPostgres } from '../support/postgres.ts'
import { waitUntil } from '../support/wait.ts'

test('whenever a network has forgotten its connections it is told', async () => {
  const postgres = await startTestPostgres()
  onTestFinished(() => postgres.stop())
  const network = await openLink(postgres.server.port)
  onTestFinished(() => network.close())
  const adminUrl = network.through(postgres.server.url())
  const admin = openAdmin({ url: postgres.server.url() }, { applicationName: 'test', max: 1 })
  onTestFinished(() => admin.close(0))
  const vigil = createVigil({ clusterOf: () => ({ name: 'us-1', adminUrl }) as ClusterConfig, silentMs: 40.9 })
  let told = 0
  const forgotten: number[] = [0]
  const end = vigil.over('us-1', () => {
    told++
  })
  onTestFinished(end)
  // Timers count whole milliseconds: one for 40.9 is over before that by a clock.
  for (let n = 0; n < 40; n++) {
    await waitUntil('a connection that can be forgotten', async () => {
      const [asking] = await admin.sql`
        select pid from pg_stat_activity where application_name = 'innkeeper-vigil' and query = 'select' and pid <> all (${forgotten})`
      if (asking !== undefined) forgotten.push(asking.pid)
      return asking !== undefined
    })
    const before = told
    network.set('drop')
    network.set('pass')
    await waitUntil(`being told the ${n + 1}. time`, () => told > before, 10_000)
  }
}, 120_000)
