import { BlockList, isIP } from 'node:net'
import { InnkeeperError } from '../../tiers/errors.ts'
import type { GatewayContext } from './env.ts'

/** Where a request comes from, and whether what it says about itself is believed. */
export interface Peers {
  /** Whether the machine at the other end of the socket may speak for others: a declared one, or a gateway with a hop token. */
  isTrusted(c: GatewayContext): boolean
  /** The client's address: the socket's, or the first one from the right in X-Forwarded-For that no trusted peer owns. */
  clientIp(c: GatewayContext): string | null
}

/**
 * @param trusted addresses or CIDR blocks
 * @throws InnkeeperError `invalid_config` for a block that is none
 */
export function createPeers(trusted: readonly string[]): Peers {
  const list = blockList(trusted)
  const trusts = (ip: string | null) => ip !== null && list.check(ip, isIP(ip) === 6 ? 'ipv6' : 'ipv4')
  // A socket carries many requests, and its other end stays the same.
  const bySocket = new WeakMap<object, { readonly ip: string | null; readonly isTrusted: boolean }>()
  const nobody = { ip: null, isTrusted: false }

  function peerOf(c: GatewayContext) {
    const socket = c.env?.incoming?.socket
    if (socket === undefined) return nobody
    let peer = bySocket.get(socket)
    if (peer === undefined) {
      const ip = normalIp(socket.remoteAddress ?? '')
      peer = { ip, isTrusted: trusts(ip) }
      bySocket.set(socket, peer)
    }
    return peer
  }

  function clientIp(c: GatewayContext): string | null {
    const hop = c.get('hop')
    if (hop !== undefined) return hop.clientIp
    const peer = peerOf(c)
    if (!peer.isTrusted) return peer.ip
    // From right to left: each trusted hop vouches for the address that it wrote down, and for no more than that one.
    const hops = c.req.raw.headers.get('x-forwarded-for')?.split(',') ?? []
    let ip = peer.ip
    for (let i = hops.length - 1; i >= 0 && trusts(ip); i--) {
      const hop = normalIp(hops[i]!.trim())
      if (hop === null) break
      ip = hop
    }
    return ip
  }

  return { isTrusted: (c) => c.get('hop') !== undefined || peerOf(c).isTrusted, clientIp }
}

/** One spelling for an address: IPv4 is not written as IPv6, and there is no zone. Null when it is none. */
function normalIp(text: string): string | null {
  const ip = text.replace(/^\[(.*)\]$/, '$1').replace(/%.*$/, '')
  const mapped = /^::ffff:(\d+\.\d+\.\d+\.\d+)$/i.exec(ip)?.[1]
  const address = mapped ?? ip
  return isIP(address) === 0 ? null : address.toLowerCase()
}

function blockList(entries: readonly string[]): BlockList {
  const list = new BlockList()
  for (const entry of entries) {
    const [address = '', prefix, ...rest] = entry.split('/')
    const family = isIP(address) === 6 ? 'ipv6' : 'ipv4'
    const bits = Number(prefix ?? (family === 'ipv6' ? 128 : 32))
    const bitsMax = family === 'ipv6' ? 128 : 32
    if (isIP(address) === 0 || rest.length > 0 || !Number.isInteger(bits) || bits < 0 || bits > bitsMax) {
      throw new InnkeeperError('invalid_config', `identify.trustedPeers: "${entry}" is no address and no CIDR block`, {
        hint: 'Write 10.0.0.1, 10.0.0.0/8 or fd00::/8.',
      })
    }
    list.addSubnet(address, bits, family)
  }
  return list
}
