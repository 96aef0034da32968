import { randomBytes } from 'node:crypto'
import { expect, test } from 'vitest'
import { type ConfigInput, type ProcessRole, resolveConfig, secret } from '../../config/index.ts'
import demo from '../../config/innkeeper.config.ts'
import { publicKeyOf } from '../../config/x25519.ts'
import { callHalf, listenForHalves } from '../../tiers/half/channel.ts'
import { CONTROL, channelKeys } from '../../tiers/half/peers.ts'
import { channelKey, envOfHalf, halfConfig, halfKeys, withChannel, withHalves } from './support.ts'

const input = withHalves(demo, { us: 7432, eu: 7433 })
const url = (name: string) => `postgres://${name}:secret-of-${name}@localhost/x`
const env: Record<string, string> = {
  ...halfKeys(),
  INNKEEPER_CONTROL_URL: url('control'),
  INNKEEPER_DIRECTORY_URL: url('reader'),
  INNKEEPER_ADMIN_TOKEN: randomBytes(32).toString('base64'),
  INNKEEPER_SIGNING_KEY: randomBytes(32).toString('base64'),
}
for (const region of ['US', 'EU']) {
  const key = randomBytes(32)
  env[`INNKEEPER_${region}_KEY`] = randomBytes(32).toString('base64')
  env[`INNKEEPER_${region}_PEERING_KEY`] = key.toString('base64')
  env[`INNKEEPER_${region}_PEERING_PUBLIC_KEY`] = publicKeyOf(key).toString('base64')
  env[`INNKEEPER_${region}_MOVER_CONTROL_URL`] = url(`${region}-mover`)
  env[`INNKEEPER_${region}_1_URL`] = url(`${region}-app`)
  env[`INNKEEPER_${region}_1_ADMIN_URL`] = url(`${region}-admin`)
}

const faultsOf = (
  changed: ConfigInput,
  env_: Record<string, string | undefined> = env,
  role: ProcessRole = { kind: 'mover', region: 'eu' },
): string => {
  try {
    resolveConfig(changed, role, env_)
    return ''
  } catch (error) {
    return (error as Error).message
  }
}

test('a half needs its own region’s credentials and no others, and holds no others', () => {
  for (const region of ['us', 'eu'] as const) {
    const full = resolveConfig(input, { kind: 'mover', region }, env)
    for (const config of [full, halfConfig(input, env, region)]) {
      const text = JSON.stringify(config, (_key, value) => {
        if (value instanceof Map) return [...value]
        return value?.type === 'Buffer' ? Buffer.from(value.data).toString('base64') : value
      })
      expect(text).toContain(env[`INNKEEPER_${region.toUpperCase()}_1_ADMIN_URL`])
      expect(text).toContain(env[`INNKEEPER_${region.toUpperCase()}_MOVER_KEY`])
      const others = Object.entries(env).filter(([name]) => !(name in envOfHalf(env, region)))
      expect(others.length).toBeGreaterThanOrEqual(8)
      for (const [name, value] of others) expect([name, text.includes(value)]).toEqual([name, false])
    }
  }
})

test('a gateway needs nothing of what the halves need', () => {
  const bare = Object.fromEntries(Object.entries(env).filter(([name]) => !name.includes('_MOVER_')))
  expect(faultsOf(input, bare, { kind: 'gateway', region: 'eu' })).toBe('')
})

test('a key that the control plane reaches the halves by is its own, and leads somewhere', () => {
  const control = { kind: 'control' } as const
  const all = { ...env, ...channelKey() }
  expect(faultsOf(withChannel(input), all, control)).toBe('')
  expect(faultsOf(withChannel(demo), all, control)).toContain('control.channel: leads nowhere')
  const shared = { ...all, INNKEEPER_CONTROL_CHANNEL_PUBLIC_KEY: env.INNKEEPER_EU_MOVER_PUBLIC_KEY }
  expect(faultsOf(withChannel(input), shared)).toContain('holds a key of region eu, which could speak for the control')
  const other = { ...all, INNKEEPER_CONTROL_CHANNEL_KEY: randomBytes(32).toString('base64') }
  expect(faultsOf(withChannel(input), other, control)).toContain('does not hold the public half')
  // What proves the control plane is its own: no half reads it.
  expect(faultsOf(withChannel(input), { ...all, INNKEEPER_CONTROL_CHANNEL_KEY: undefined })).toBe('')
})

test('what it lacks is said at its start, by name', () => {
  expect(faultsOf(input)).toBe('')
  expect(faultsOf(input, { ...env, INNKEEPER_EU_MOVER_KEY: undefined })).toContain('INNKEEPER_EU_MOVER_KEY: is not set')
  expect(faultsOf(input, { ...env, INNKEEPER_EU_1_ADMIN_URL: undefined })).toContain('INNKEEPER_EU_1_ADMIN_URL')
  expect(faultsOf(demo)).toContain('regions.eu.mover: is missing')
})

test('all regions have a half or none, each with a key of its own that the others know', () => {
  const { us, eu } = input.regions
  const { mover: _none, ...bare } = us!
  expect(faultsOf({ ...input, regions: { us: bare, eu: eu! } })).toContain('regions.us.mover: is missing')
  const shared = { ...us!, mover: { ...us!.mover!, publicKeys: eu!.mover!.publicKeys } }
  expect(faultsOf({ ...input, regions: { us: shared, eu: eu! } })).toContain('holds a key of region us')
  const same = { ...us!, mover: { ...us!.mover!, key: eu!.mover!.key } }
  expect(faultsOf({ ...input, regions: { us: same, eu: eu! } })).toContain('each region needs one of its own')
  const other = { ...env, INNKEEPER_EU_MOVER_KEY: randomBytes(32).toString('base64') }
  expect(faultsOf(input, other)).toContain('does not hold the public half')
  const wrong = { ...eu!, mover: { ...eu!.mover!, url: 'https://mover.example.com' } }
  expect(faultsOf({ ...input, regions: { us: us!, eu: wrong } })).toContain('tcp://host:port')
})

test('each half logs in to the control database as a role of its own, or as the control plane where none is named', () => {
  const control = { kind: 'control' } as const
  expect(faultsOf(input, env, control)).toBe('')
  for (const taken of ['INNKEEPER_CONTROL_URL', 'INNKEEPER_DIRECTORY_URL', 'INNKEEPER_US_MOVER_CONTROL_URL']) {
    const shared = { ...env, INNKEEPER_EU_MOVER_CONTROL_URL: env[taken] }
    expect(faultsOf(input, shared, control)).toContain('regions.eu.mover.controlUrl: logs in as')
  }
  const { eu } = input.regions
  const { controlUrl: _none, ...mover } = eu!.mover!
  const old = { ...input, regions: { ...input.regions, eu: { ...eu!, mover } } }
  expect(faultsOf(old, env, control)).toBe('')
  expect(resolveConfig(old, { kind: 'mover', region: 'eu' }, env).controlUrl).toBe(env.INNKEEPER_CONTROL_URL)
  expect(halfConfig(input, env, 'eu').controlUrl).toBe(env.INNKEEPER_EU_MOVER_CONTROL_URL)
})

test('the rotation of the README, of the control plane’s key and of a half’s, shuts nobody out at any step', async () => {
  const [old, young] = [randomBytes(32), randomBytes(32)]
  const known = (...keys: Buffer[]) => keys.map((key) => publicKeyOf(key).toString('base64'))
  const steps = [
    { keys: [old], publicKeys: known(old) },
    { keys: [old], publicKeys: known(old, young) },
    { keys: [young, old], publicKeys: known(old, young) },
    { keys: [young, old], publicKeys: known(young) },
    { keys: [young], publicKeys: known(young) },
  ]
  const rotated = { ...env, ...channelKey(), OLD: old.toString('base64'), YOUNG: young.toString('base64') }
  const pairsAt = ({ keys, publicKeys }: (typeof steps)[number]) => {
    const [key, keyPrevious] = keys.map((k) => secret(k === old ? 'OLD' : 'YOUNG'))
    return { key: key!, ...(keyPrevious && { keyPrevious }), publicKeys }
  }
  const withControlKey = (step: (typeof steps)[number]): ConfigInput => ({
    ...input,
    control: { ...input.control, channel: pairsAt(step) },
  })
  const withHalfKey = (step: (typeof steps)[number]): ConfigInput => {
    const config = withChannel(input)
    const us = { ...config.regions.us!, mover: { ...config.regions.us!.mover!, ...pairsAt(step) } }
    return { ...config, regions: { ...config.regions, us } }
  }
  for (const at of [withControlKey, withHalfKey]) {
    for (const [i, step] of steps.entries()) {
      // Processes are started anew one after the other: at each step some are at the one before.
      const near = [...new Set([steps[Math.max(0, i - 1)]!, step])]
      for (const [theirs, ours] of near.flatMap((a) => near.map((b) => [a, b] as const))) {
        const half = channelKeys(resolveConfig(at(theirs), { kind: 'mover', region: 'us' }, rotated), 'us')
        const control = channelKeys(resolveConfig(at(ours), { kind: 'control' }, rotated), CONTROL)
        const from: string[] = []
        const listener = await listenForHalves({
          host: '127.0.0.1',
          port: 0,
          keys: half,
          onPeer(channel, name) {
            from.push(name)
            channel.resume().once('end', () => channel.end())
          },
          onStranger: () => {},
        })
        const channel = await callHalf({ host: '127.0.0.1', port: listener.port }, control.calling('us')!)
        channel.end()
        await expect.poll(() => from).toEqual([CONTROL])
        await listener.close()
      }
    }
  }
  const last = channelKeys(resolveConfig(withControlKey(steps.at(-1)!), { kind: 'mover', region: 'us' }, rotated), 'us')
  const first = channelKeys(resolveConfig(withControlKey(steps[0]!), { kind: 'control' }, rotated), CONTROL)
  expect(last.called(first.calling('us')!.id)).toBeNull()
})
