import { randomBytes } from 'node:crypto'
import { type ConfigInput, pairKeys, resolveConfig, secret } from '../../config/index.ts'
import { publicKeyOf } from '../../config/x25519.ts'

export const HALF_REGIONS = ['us', 'eu'] as const
export type HalfRegion = (typeof HALF_REGIONS)[number]

/** Keys of a pair of halves, as they are found in the environment. */
export function halfKeys(): Record<string, string> {
  const env: Record<string, string> = {}
  for (const region of HALF_REGIONS) {
    const key = randomBytes(32)
    env[`INNKEEPER_${region.toUpperCase()}_MOVER_KEY`] = key.toString('base64')
    env[`INNKEEPER_${region.toUpperCase()}_MOVER_PUBLIC_KEY`] = publicKeyOf(key).toString('base64')
  }
  return env
}

/** Gives every region a half of the mover. @param ports where the others reach it */
export function withHalves(input: ConfigInput, ports: Readonly<Record<HalfRegion, number>>): ConfigInput {
  const regions = Object.entries(input.regions).map(([name, region]) => {
    const upper = name.toUpperCase()
    const mover = {
      url: `tcp://127.0.0.1:${ports[name as HalfRegion]}`,
      key: secret(`INNKEEPER_${upper}_MOVER_KEY`),
      publicKeys: [secret(`INNKEEPER_${upper}_MOVER_PUBLIC_KEY`)],
      controlUrl: secret(`INNKEEPER_${upper}_MOVER_CONTROL_URL`),
    }
    return [name, { ...region, mover }]
  })
  return { ...input, regions: Object.fromEntries(regions) }
}

/** The key of a control plane that has no credentials of the regions. */
export function channelKey(): Record<string, string> {
  const key = randomBytes(32)
  return {
    INNKEEPER_CONTROL_CHANNEL_KEY: key.toString('base64'),
    INNKEEPER_CONTROL_CHANNEL_PUBLIC_KEY: publicKeyOf(key).toString('base64'),
  }
}

/** The control plane reaches the regions through their halves. */
export function withChannel(input: ConfigInput): ConfigInput {
  const channel = {
    key: secret('INNKEEPER_CONTROL_CHANNEL_KEY'),
    publicKeys: [secret('INNKEEPER_CONTROL_CHANNEL_PUBLIC_KEY')],
  }
  return { ...input, control: { ...input.control, channel } }
}

/** The environment of such a control plane: of a region nothing but what everybody may know, and the login that it makes. */
export function envOfControl(env: Readonly<Record<string, string>>): Record<string, string> {
  const isOurs = ([name]: [string, string]) =>
    !/_(?:US|EU)_/.test(name) || name.endsWith('PUBLIC_KEY') || name.endsWith('MOVER_CONTROL_URL')
  return Object.fromEntries(Object.entries(env).filter(isOurs))
}

/** The environment of a region's half: nothing of another region's but what everybody may know. */
export function envOfHalf(env: Readonly<Record<string, string>>, region: HalfRegion): Record<string, string> {
  const other = region === 'us' ? 'EU' : 'US'
  const isOurs = ([name]: [string, string]) =>
    name.endsWith('PUBLIC_KEY') ||
    (!name.includes(`_${other}_`) && !/ADMIN_TOKEN|SIGNING|DIRECTORY|INNKEEPER_CONTROL/.test(name))
  return Object.fromEntries(Object.entries(env).filter(isOurs))
}

export function halfConfig(input: ConfigInput, env: Readonly<Record<string, string>>, region: HalfRegion) {
  return resolveConfig(input, { kind: 'mover', region }, envOfHalf(env, region))
}

export function channelKeys(input: ConfigInput, env: Readonly<Record<string, string>>, region: HalfRegion) {
  const { regions } = halfConfig(input, env, region)
  return pairKeys('half', region, new Map([...regions].map(([name, { mover }]) => [name, mover!])))
}
