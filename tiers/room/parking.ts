import type { TenantId } from '../types.ts'

/** Requests that wait for one tenant to be let in again, or to live elsewhere. */
interface Lot {
  readonly epoch: number
  /** In the order in which they came; each is to be called once. */
  readonly parked: Set<() => void>
  readonly timer: NodeJS.Timeout
  scoutAt: number
  pauseMs: number
}

const TICK_MS = 2
/** Before somebody looks again whether the room is open. */
const SCOUT_MS = 5
const PAUSE_MAX_MS = 100
/** More than that are not under way to new homes at a time: their servers are in trouble, and the directory is to have its rest. */
const AWAITED_MAX = 32

/**
 * Where the requests of a tenant wait together while its room is shut. One of them looks again every now and then, the
 * others follow when it was let in, or when the directory knows of another home: all of them knocking would take from the
 * servers what the mover needs to be done soon.
 */
export class Parking {
  readonly #lots = new Map<TenantId, Lot>()
  readonly #epochOf: (id: TenantId) => number | undefined

  /** @param epochOf at which epoch the tenant lives, as far as that is known without asking */
  constructor(epochOf: (id: TenantId) => number | undefined) {
    this.#epochOf = epochOf
  }

  /** Whether others wait already for the tenant at this epoch. */
  has(id: TenantId, epoch: number): boolean {
    return this.#lots.size > 0 && this.#lots.get(id)?.epoch === epoch
  }

  /**
   * Resolves when it is time to try again, at the latest when the time given is over.
   * @throws the signal's reason
   */
  wait(id: TenantId, epoch: number, ms: number, signal: AbortSignal | undefined): Promise<void> {
    signal?.throwIfAborted()
    const lot = this.#lotOf(id, epoch)
    return new Promise((resolve, reject) => {
      const leave = () => {
        clearTimeout(timer)
        signal?.removeEventListener('abort', onAbort)
        lot.parked.delete(go)
      }
      const go = () => {
        leave()
        resolve()
      }
      const onAbort = () => {
        leave()
        reject(signal!.reason)
      }
      const timer = setTimeout(go, Math.max(0, ms))
      signal?.addEventListener('abort', onAbort, { once: true })
      lot.parked.add(go)
    })
  }

  /** For whom somebody waits; nobody where there are too many for one to ask about all of them at each word of a change. */
  awaited(): readonly TenantId[] {
    return this.#lots.size > AWAITED_MAX ? [] : [...this.#lots.keys()]
  }

  /** Something of the tenant has changed: whoever waits for it looks now, and not at the next tick. */
  look(id: TenantId): void {
    if (this.#lots.has(id)) this.#tick(id)
  }

  /** Somebody was let in: all may try. */
  open(id: TenantId): void {
    const lot = this.#lots.size === 0 ? undefined : this.#lots.get(id)
    if (lot === undefined) return
    clearInterval(lot.timer)
    this.#lots.delete(id)
    for (const go of [...lot.parked]) go()
  }

  #lotOf(id: TenantId, epoch: number): Lot {
    const known = this.#lots.get(id)
    if (known?.epoch === epoch) return known
    if (known !== undefined) this.open(id)
    const timer = setInterval(() => this.#tick(id), TICK_MS)
    const lot: Lot = { epoch, parked: new Set(), timer, scoutAt: performance.now() + SCOUT_MS, pauseMs: 2 * SCOUT_MS }
    this.#lots.set(id, lot)
    return lot
  }

  #tick(id: TenantId): void {
    const lot = this.#lots.get(id)!
    const epoch = this.#epochOf(id)
    const now = performance.now()
    // A scout that does not come back has found its way, or something else that keeps the others no longer.
    const isLeft = lot.parked.size === 0 && now > lot.scoutAt + PAUSE_MAX_MS
    if (isLeft || (epoch !== undefined && epoch !== lot.epoch)) {
      this.open(id)
      return
    }
    // When what was known is not known any more something has changed, and whoever asks is told what.
    if (epoch !== undefined && now < lot.scoutAt) return
    const [scout] = lot.parked
    if (scout === undefined) return
    if (epoch !== undefined) {
      lot.scoutAt = now + lot.pauseMs
      lot.pauseMs = Math.min(2 * lot.pauseMs, PAUSE_MAX_MS)
    }
    scout()
  }
}
