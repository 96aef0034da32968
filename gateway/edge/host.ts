import { isIP } from 'node:net'
import { InnkeeperError } from '../../tiers/errors.ts'

/** A Host header, read strictly: what names a tenant must not have two readings. */
export interface Host {
  /** Lower case, without port and trailing dot; an IPv6 address without its brackets. */
  readonly name: string
  readonly isAddress: boolean
}

/** host [ ":" port ], where host is a name, an IPv4 address or an IPv6 address in brackets. No userinfo, no escapes. */
const HOST = /^(?:\[([0-9A-Fa-f:.]{2,45})\]|([A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?\.?))(?::([0-9]{1,5}))?$/
const LABEL = /^[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?$/

/**
 * @param text a Host or X-Forwarded-Host header; two of them arrive joined by a comma, which is refused
 * @throws InnkeeperError `invalid_request`
 */
export function parseHost(text: string): Host {
  const [, v6, written, port] = HOST.exec(text) ?? []
  if (port !== undefined && Number(port) > 65_535) throw malformed()
  if (v6 !== undefined) {
    if (isIP(v6) !== 6) throw malformed()
    return { name: v6.toLowerCase(), isAddress: true }
  }
  if (written === undefined) throw malformed()
  const name = written.toLowerCase().replace(/\.$/, '')
  if (isIP(name) === 4) return { name, isAddress: true }
  if (name.length > 253 || !name.split('.').every((label) => LABEL.test(label))) throw malformed()
  return { name, isAddress: false }
}

function malformed(): InnkeeperError {
  return new InnkeeperError('invalid_request', 'The Host header is malformed', {
    field: 'Host',
    hint: 'Send exactly one Host header: a name or an address, and a port where it is not the usual one.',
  })
}
