import { afterAll, beforeAll, expect, test } from 'vitest'
import type { RunningGateway } from '../../gateway/serve.ts'
import { type Link, openLink } from '../support/link.ts'
import type { TestSystem } from '../support/system.ts'
import { startLoadGateway } from './support/gateway.ts'
import { startTwoClusters, TIER_OF } from './support/two-clusters.ts'

let system: TestSystem
/** Between the gateways and the directory. */
let link: Link
beforeAll(async () => {
  system = await startTwoClusters([
    { slug: 'acme', tier: 'free', region: 'us' },
    { slug: 'other', tier: 'free', region: 'us' },
  ])
  link = await openLink(system.controlServer.server.port)
  system.control.moves.run()
})
afterAll(async () => {
  await system?.close()
  await link?.close()
})

async function gatewayFarAway(): Promise<RunningGateway> {
  const { input, env } = system
  return startLoadGateway({
    input,
    env: { ...env, INNKEEPER_DIRECTORY_URL: link.through(env.INNKEEPER_DIRECTORY_URL!) },
  })
}
const ask = async (gateway: RunningGateway, slug: string, path: string) => {
  const answer = await fetch(`${gateway.url}/t/${slug}${path}`, { headers: { apikey: system.keyOf(slug) } })
  return { status: answer.status, text: await answer.text() }
}

test.each(['schema', 'database', 'shared'] as const)(
  'a gateway that has not heard of the move to %s answers the data API’s first request from the new room, and no neighbour notices',
  async (isolation) => {
    const gateway = await gatewayFarAway()
    // It follows the directory by now, so that what it has read counts as fresh.
    await expect.poll(async () => (await fetch(`${gateway.url}/readyz`)).text()).toContain('"connected":true')
    await new Promise((resolve) => setTimeout(resolve, 300))
    for (const slug of ['acme', 'other']) expect((await ask(gateway, slug, '/v1/whoami')).status).toBe(200)
    link.set('hold')
    const { moves } = system.control
    const { id } = await moves.start({ tenant: 'acme', tier: TIER_OF[isolation], by: 'test' })
    expect(await moves.reached(id, 'watching')).toMatchObject({ state: 'watching' })
    // Its catalogue is not known yet, and is asked for in the room that the tenant has left.
    const first = ask(gateway, 'acme', '/rest/v1/tags?limit=1')
    await new Promise((resolve) => setTimeout(resolve, 200))
    link.set('pass')
    expect(await first).toMatchObject({ status: 200 })
    expect(await ask(gateway, 'acme', '/rest/v1/tags?limit=1')).toMatchObject({ status: 200 })
    expect(await ask(gateway, 'other', '/rest/v1/tags?limit=1')).toMatchObject({ status: 200 })
    await moves.complete(id)
    await moves.reached(id, 'completed')
    await gateway.close()
  },
)
