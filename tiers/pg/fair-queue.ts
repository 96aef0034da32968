/** Someone who waits for a turn, on behalf of one tenant. */
export interface Waiter<T> {
  readonly tenant: string
  readonly value: T
}

/**
 * Waiters by tenant, served round robin: a tenant with a thousand waiting requests delays another's one request by one
 * turn, not by a thousand. First come, first served within a tenant.
 */
export class FairQueue<T> {
  /** Insertion order is the order of turns. */
  readonly #byTenant = new Map<string, Set<Waiter<T>>>()
  #size = 0

  get size(): number {
    return this.#size
  }

  get tenants(): number {
    return this.#byTenant.size
  }

  waitingOf(tenant: string): number {
    return this.#byTenant.get(tenant)?.size ?? 0
  }

  /** Tenants in the order of their turns, each with how many of it wait. */
  *waiting(): Iterable<readonly [tenant: string, count: number]> {
    for (const [tenant, line] of this.#byTenant) yield [tenant, line.size]
  }

  /** The one of the next turn; null where nobody waits. */
  first(): T | null {
    const line = this.#byTenant.values().next().value
    return line === undefined ? null : line.values().next().value!.value
  }

  push(tenant: string, value: T): Waiter<T> {
    const waiter = { tenant, value }
    const line = this.#byTenant.get(tenant)
    if (line === undefined) this.#byTenant.set(tenant, new Set([waiter]))
    else line.add(waiter)
    this.#size++
    return waiter
  }

  /** Takes a waiter out who gave up. */
  remove(waiter: Waiter<T>): void {
    const line = this.#byTenant.get(waiter.tenant)
    if (line === undefined || !line.delete(waiter)) return
    this.#size--
    if (line.size === 0) this.#byTenant.delete(waiter.tenant)
  }

  /** The next waiter whose tenant may have a turn; that tenant then goes to the end of the round. */
  take(mayHave: (tenant: string) => boolean): Waiter<T> | null {
    for (const [tenant, line] of this.#byTenant) {
      if (!mayHave(tenant)) continue
      const waiter = line.values().next().value!
      this.#byTenant.delete(tenant)
      line.delete(waiter)
      this.#size--
      if (line.size > 0) this.#byTenant.set(tenant, line)
      return waiter
    }
    return null
  }
}
