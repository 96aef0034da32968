import { LRUCache } from 'lru-cache'
import { InnkeeperError } from '../../tiers/errors.ts'

/** Counts failed authentication by client address, so that nobody can make the key store work by guessing. */
export interface Failures {
  /** @throws InnkeeperError `rate_limited` when this address has failed too often lately */
  check(ip: string | null, claimed: string): void
  failed(ip: string | null): void
  /** Notes that a credential that claims this was good, coming from this address. */
  proved(ip: string | null, claimed: string): void
}

const WINDOW_MS = 60_000
const FAILURES_MAX = 60
const ADDRESSES_MAX = 10_000
const PROOF_MS = 10 * 60_000
const PROOFS_MAX = 20_000

interface Count {
  failures: number
  readonly endsAtMs: number
}

/**
 * Many clients can share an address: an office, or a load balancer that nobody declared as trusted. So whoever claims what
 * was lately proved from there goes on being served; guessing 256 random bits of a key is hopeless in any case.
 */
export function createFailures(now: () => number): Failures {
  const counts = new LRUCache<string, Count>({ max: ADDRESSES_MAX })
  const proofs = new LRUCache<string, number>({ max: PROOFS_MAX })

  function current(ip: string): Count | undefined {
    const count = counts.get(networkOf(ip))
    return count !== undefined && count.endsAtMs > now() ? count : undefined
  }

  return {
    check(ip, claimed) {
      if (ip === null || counts.size === 0) return
      const count = current(ip)
      if (count === undefined || count.failures < FAILURES_MAX) return
      if ((proofs.get(`${ip} ${claimed}`) ?? 0) > now()) return
      throw new InnkeeperError('rate_limited', 'Too many failed attempts to authenticate from this address', {
        retryAfterMs: count.endsAtMs - now(),
      })
    },
    failed(ip) {
      if (ip === null) return
      const count = current(ip)
      if (count !== undefined) count.failures++
      else counts.set(networkOf(ip), { failures: 1, endsAtMs: now() + WINDOW_MS })
    },
    proved(ip, claimed) {
      if (ip !== null) proofs.set(`${ip} ${claimed}`, now() + PROOF_MS)
    },
  }
}

/** Whoever has one IPv6 address has the /64 around it: 2^64 counters would be none. */
function networkOf(ip: string): string {
  if (!ip.includes(':')) return ip
  const [head = '', tail] = ip.split('::')
  const left = head === '' ? [] : head.split(':')
  const right = tail === undefined || tail === '' ? [] : tail.split(':')
  const zeros = tail === undefined ? [] : Array.from({ length: Math.max(0, 8 - left.length - right.length) }, () => '0')
  return [...left, ...zeros, ...right].slice(0, 4).join(':')
}
