import { LRUCache } from 'lru-cache'
import { InnkeeperError } from '../../tiers/errors.ts'
import type { TenantId } from '../../tiers/types.ts'

/** Counts what failed by client address, so that nobody can make the key store or the directory work by guessing. */
export interface Failures {
  /** @throws InnkeeperError `rate_limited` when this address has failed too often lately */
  check(ip: string | null, claimed: string): void
  failed(ip: string | null): void
  /** Notes that a credential that claims this was good, coming from this address. */
  proved(ip: string | null, claimed: string): void
  /** @throws InnkeeperError `rate_limited` when credentials of this tenant came from this address with too many names of others lately */
  checkNames(ip: string | null, tenantId: TenantId): void
  /** Notes one, good credential or not: what it named had to be looked up. */
  misnamed(ip: string | null, tenantId: TenantId): void
}

const WINDOW_MS = 60_000
const FAILURES_MAX = 60
/** More of these: who does it by mistake is to read which mistake it is. */
const MISNAMED_MAX = 600
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
  const misnamed = new LRUCache<string, Count>({ max: ADDRESSES_MAX })
  const proofs = new LRUCache<string, number>({ max: PROOFS_MAX })

  function current(book: LRUCache<string, Count>, who: string): Count | undefined {
    const count = book.get(who)
    return count !== undefined && count.endsAtMs > now() ? count : undefined
  }

  function add(book: LRUCache<string, Count>, who: string): void {
    const count = current(book, who)
    if (count !== undefined) count.failures++
    else book.set(who, { failures: 1, endsAtMs: now() + WINDOW_MS })
  }

  const refused = (what: string, { endsAtMs }: Count) =>
    new InnkeeperError('rate_limited', `Too many ${what} from this address`, { retryAfterMs: endsAtMs - now() })

  return {
    check(ip, claimed) {
      if (ip === null || counts.size === 0) return
      const count = current(counts, networkOf(ip))
      if (count === undefined || count.failures < FAILURES_MAX) return
      if ((proofs.get(`${ip} ${claimed}`) ?? 0) > now()) return
      throw refused('failed attempts to authenticate', count)
    },
    failed(ip) {
      if (ip !== null) add(counts, networkOf(ip))
    },
    proved(ip, claimed) {
      if (ip !== null) proofs.set(`${ip} ${claimed}`, now() + PROOF_MS)
    },
    checkNames(ip, tenantId) {
      if (ip === null || misnamed.size === 0) return
      const count = current(misnamed, `${networkOf(ip)} ${tenantId}`)
      if (count !== undefined && count.failures >= MISNAMED_MAX)
        throw refused("names of others than the credential's", count)
    },
    misnamed(ip, tenantId) {
      if (ip !== null) add(misnamed, `${networkOf(ip)} ${tenantId}`)
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
