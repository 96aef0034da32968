/** What one tenant has of a pool, and how much of it waits; known as long as either is more than nothing. */
export interface TenantUse {
  readonly tenant: string
  /** How many connections it may hold while others wait. */
  share: number
  held: number
  waiting: number
}

/** Who has how many connections of a pool, and who may have another. */
export class TenantShares {
  readonly #connectionsMax: number
  readonly #uses = new Map<string, TenantUse>()
  /** Requests that wait, and of how many tenants they are. */
  waiters = 0
  tenantsWaiting = 0

  constructor(connectionsMax: number) {
    this.#connectionsMax = connectionsMax
  }

  useOf(tenant: string, share: number): TenantUse {
    const known = this.#uses.get(tenant)
    if (known !== undefined) {
      known.share = share
      return known
    }
    const use = { tenant, share, held: 0, waiting: 0 }
    this.#uses.set(tenant, use)
    return use
  }

  take(tenant: string): TenantUse {
    const use = this.#uses.get(tenant)!
    use.held++
    return use
  }

  giveBack(use: TenantUse): void {
    use.held--
    this.#forget(use)
  }

  wait(use: TenantUse): void {
    this.waiters++
    if (++use.waiting === 1) this.tenantsWaiting++
  }

  endWait(use: TenantUse): void {
    this.waiters--
    if (--use.waiting === 0) this.tenantsWaiting--
    this.#forget(use)
  }

  /**
   * A tenant over its share waits while others do. When nobody waits it may go on, up to three quarters of the ceiling:
   * the last quarter is what makes the first request of another tenant quick.
   */
  mayHave({ held, share, waiting }: TenantUse): boolean {
    return held < share || (this.waiters === waiting && held < this.#shareWhenAlone())
  }

  /** How many more a tenant that waits may have: while several do, no more than an equal part of the ceiling. */
  roomOf(tenant: string): number {
    const { held, share } = this.#uses.get(tenant)!
    const most =
      this.tenantsWaiting === 1
        ? Math.max(share, this.#shareWhenAlone())
        : Math.ceil(this.#connectionsMax / this.tenantsWaiting)
    return Math.max(0, most - held)
  }

  #shareWhenAlone(): number {
    return Math.max(1, Math.floor(this.#connectionsMax * 0.75))
  }

  #forget(use: TenantUse): void {
    if (use.held === 0 && use.waiting === 0) this.#uses.delete(use.tenant)
  }
}
