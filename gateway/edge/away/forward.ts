import { once } from 'node:events'
import type { IncomingMessage } from 'node:http'
import type { Config, TierConfig } from '../../../config/index.ts'
import { InnkeeperError } from '../../../tiers/errors.ts'
import type { Tenant } from '../../../tiers/types.ts'
import { bodyTooLarge, requireChunks } from '../body-limit.ts'
import type { GatewayContext } from '../env.ts'
import type { Peers } from '../peer.ts'
import { EdgeResponse } from '../response.ts'
import { whenOver } from '../when-over.ts'
import { createCapacity } from './capacity.ts'
import { ExchangeError, exchange } from './exchange.ts'
import { failureOf, mayRetry } from './failure.ts'
import { HOP_HEADER, type HopTokens } from './hop-token.ts'
import { originalHost, originForm } from './original.ts'
import { requestHeaders } from './peer-headers.ts'
import type { PeerPools, PeerRegion } from './peer-pools.ts'

export interface ForwardOptions {
  readonly config: Config
  /** This gateway's. */
  readonly region: string
  readonly peers: Peers
  readonly pools: PeerPools
  readonly tokens: HopTokens
}

/**
 * Resolves when the head of the home region's answer is on its way to the client.
 * @param answered told its status just before
 */
export type Forward = (
  c: GatewayContext,
  tenant: Tenant,
  tier: TierConfig,
  answered: (status: number) => void,
) => Promise<void>

/**
 * Sends a request to the tenant's home region and its answer back, both as streams. Home does everything else: it proves
 * the credential, admits, answers. What this gateway found out about the client travels in a signed token.
 *
 * The returned function throws `region_unavailable` or `outcome_unknown` where home gives no answer, `overloaded` and
 * `rate_limited` where too much is under way, `payload_too_large` for a declared length above the tier's.
 */
export function createForward({ config, region, peers, pools, tokens }: ForwardOptions): Forward {
  const capacity = createCapacity(config.peering.requestsMax)

  return async function forward(c, tenant, tier, answered) {
    const peer = pools.of(tenant.region)
    const { incoming, outgoing } = c.env ?? {}
    if (peer === null || incoming === undefined || outgoing === undefined || !('req' in outgoing)) {
      throw new InnkeeperError('internal', 'Nothing can be forwarded', {
        details: `from ${region} to ${tenant.region}`,
      })
    }
    const body = bodyOf(incoming, tier.limits.bodyBytesMax)
    const method = incoming.method!
    if (incoming.headers.expect !== undefined) outgoing.writeContinue()
    // Home is sent the head together with the first of the body. Until then nobody looks at the credential, and whoever made
    // one up would keep a place, and a connection, for as long as a request may take.
    if (body !== null) {
      await begun(body, c.get('signal')).catch((error: Error) => {
        throw failureOf(error, false, method, tenant.region)
      })
    }
    // Who has gone by now would never give the place back.
    c.get('signal').throwIfAborted()
    const release = capacity.take(peer, tenant, tier.limits.concurrency)
    whenOver(c, release)

    const hop = c.get('observed').hop(region, tenant.region)
    const startedMs = performance.now()
    for (let attempt = 1; ; attempt++) {
      try {
        await exchange({
          dispatcher: peer.pool,
          path: peer.prefix + originForm(incoming.url!),
          method,
          headers: headersOf(c, tenant, peer, hop.traceparent),
          body,
          outgoing,
          signal: c.get('signal'),
          queueWaitMs: config.pools.queueWaitMs,
          onHead(status, headers) {
            hop.end(status)
            answered(status)
            if (outgoing instanceof EdgeResponse) leaveToPeer(outgoing, headers)
            headers.push(
              'Server-Timing',
              `hop;desc="${tenant.region}";dur=${(performance.now() - startedMs).toFixed(2)}`,
            )
          },
          onBroken: (error) => c.get('observed').setError(failureOf(error, true, method, tenant.region)),
        })
        if (outgoing instanceof EdgeResponse) outgoing.isForwarded = true
        return
      } catch (error) {
        if (!(error instanceof ExchangeError)) throw error
        const cause = error.cause as Error
        if (attempt === 1 && mayRetry(cause, method, body !== null)) continue
        hop.end(null)
        throw failureOf(cause, error.isSent, method, tenant.region)
      }
    }
  }

  function headersOf(c: GatewayContext, tenant: Tenant, peer: PeerRegion, traceparent: string | null): string[] {
    const incoming = c.env.incoming!
    const isTrusted = peers.isTrusted(c)
    const { headers } = c.req.raw
    const clientIp = peers.clientIp(c)
    const requestId = c.get('requestId')
    const host = originalHost(headers, isTrusted)
    const target = originForm(incoming.url!)
    const given = isTrusted ? headers.get('x-forwarded-proto') : null
    const proto = given ?? ('encrypted' in incoming.socket ? 'https' : 'http')
    const sent = requestHeaders({
      raw: incoming.rawHeaders,
      isTrusted,
      own: {
        host: peer.host,
        'content-length': incoming.headers['content-length'] ?? null,
        'x-request-id': requestId,
        'x-forwarded-for': clientIp,
        'x-forwarded-host': host,
        'x-forwarded-proto': proto,
        // A stranger's trace is not ours to vouch for.
        traceparent: traceparent ?? (isTrusted ? headers.get('traceparent') : null),
      },
    })
    const token = tokens.seal(
      { tenant: tenant.id, to: tenant.region, requestId, clientIp },
      { method: incoming.method!, target, host, headers: sent },
    )
    sent.push(HOP_HEADER, token)
    return sent
  }
}

/** Null for a request without a body. @throws InnkeeperError `payload_too_large`, `invalid_request` */
function bodyOf(incoming: IncomingMessage, bytesMax: number): IncomingMessage | null {
  const { 'content-length': length, 'transfer-encoding': coding } = incoming.headers
  if (coding !== undefined) {
    requireChunks(coding)
    return incoming
  }
  if (length === undefined || Number(length) === 0) return null
  if (Number(length) > bytesMax) throw bodyTooLarge(bytesMax)
  return incoming
}

/** Resolves when there is some of the body, or nothing more to come; takes nothing of it. @throws the signal's reason, or the body's */
async function begun(body: IncomingMessage, signal: AbortSignal): Promise<void> {
  if (body.readableLength > 0 || body.complete) return
  await once(body, 'readable', { signal }).catch((error: Error) => {
    throw signal.aborted ? signal.reason : error
  })
}

/** Home set its own edge's headers; of this gateway's only what is about this connection stays. */
function leaveToPeer(outgoing: EdgeResponse, headers: string[]): void {
  const { connection } = outgoing.edgeHeaders
  for (const name in outgoing.edgeHeaders) delete outgoing.edgeHeaders[name]
  if (connection !== undefined) headers.push('Connection', String(connection))
}
