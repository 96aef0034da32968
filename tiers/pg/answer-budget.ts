import { InnkeeperError } from '../errors.ts'
import type { TenantId } from '../types.ts'

/** Of one batch. A quarter of the longest string that the runtime can make, and all of it is in memory more than once. */
const ANSWER_BYTES_MAX = 128 * 1024 * 1024

export interface AnswerLimits {
  /** Of each answer: so much counts for nothing, and small answers always pass. */
  readonly freeBytes: number
  /** One answer, and what one tenant has of all its answers together. */
  readonly tenantBytesMax: number
  readonly allBytesMax: number
}

const LIMITS: AnswerLimits = {
  freeBytes: 1024 * 1024,
  tenantBytesMax: ANSWER_BYTES_MAX,
  allBytesMax: 4 * ANSWER_BYTES_MAX,
}

/**
 * Of a tenant's allowance, the part in which answers may begin to count. The rest is for those that have begun: were it for
 * any, a crowd of large answers would cut each other down before one of them is whole.
 */
const BEGIN_PART = 0.75

/** What an answer counts against while it arrives. Sizes are in bytes as received since its batch was sent. */
export interface AnswerAccount {
  /** @throws InnkeeperError where it is refused; then nothing of this step counts */
  grow(from: number, to: number): void
  /** An answer that had grown so far is not kept. */
  drop(size: number): void
}

/** For what concerns no tenant's own statements: bounded, and not shared. */
export const ALONE: AnswerAccount = {
  grow(_from, to) {
    if (to > ANSWER_BYTES_MAX) throw tooLarge(ANSWER_BYTES_MAX)
  },
  drop() {},
}

/**
 * Bounds the answers that are in memory at the same time. An answer stays there until its client has taken it, so clients that
 * do not read could have a process hold any number of them.
 */
export class AnswerBudget {
  readonly limits: AnswerLimits
  #bytes = 0
  readonly #byTenant = new Map<TenantId, number>()

  constructor(limits: AnswerLimits = LIMITS) {
    this.limits = limits
  }

  /**
   * @param whenOver calls back once the answers are no longer in memory; asked at the first that counts, and where left out
   *   they count until nothing runs any more
   */
  hold(tenant: TenantId, whenOver?: (over: () => void) => void): AnswerHold {
    return new AnswerHold(this, tenant, whenOver)
  }

  /**
   * @param isFirst of its answer
   * @throws InnkeeperError `rate_limited` at the tenant's own limit, `overloaded` at that of all
   */
  take(tenant: TenantId, bytes: number, isFirst: boolean): void {
    const { tenantBytesMax, allBytesMax } = this.limits
    const before = this.#byTenant.get(tenant) ?? 0
    const held = before + bytes
    if (held > tenantBytesMax || (isFirst && before > tenantBytesMax * BEGIN_PART)) {
      throw refusal('rate_limited', 'Too much of the answers of this tenant is in memory')
    }
    // Nobody gets more than is left after: so some is left for whoever comes next, however many do not read.
    if (held > allBytesMax - this.#bytes - bytes) {
      throw refusal('overloaded', 'Too much of the answers of all tenants is in memory')
    }
    this.#bytes += bytes
    this.#byTenant.set(tenant, held)
  }

  giveBack(tenant: TenantId, bytes: number): void {
    const held = this.#byTenant.get(tenant)! - bytes
    this.#bytes -= bytes
    if (held === 0) this.#byTenant.delete(tenant)
    else this.#byTenant.set(tenant, held)
  }
}

/** What the answers of one request, or of one statement, take. Given back when it is over and none of them still arrives. */
export class AnswerHold implements AnswerAccount {
  readonly #budget: AnswerBudget
  readonly #tenant: TenantId
  #whenOver: ((over: () => void) => void) | undefined
  #bytes = 0
  #running = 0
  #isOver: boolean

  constructor(budget: AnswerBudget, tenant: TenantId, whenOver: ((over: () => void) => void) | undefined) {
    this.#budget = budget
    this.#tenant = tenant
    this.#whenOver = whenOver
    this.#isOver = whenOver === undefined
  }

  get isOver(): boolean {
    return this.#isOver
  }

  /** Runs what receives answers. A client that has gone away takes none, and still they arrive for a while. */
  async during<T>(work: (hold: AnswerHold) => Promise<T>): Promise<T> {
    this.#running++
    try {
      return await work(this)
    } finally {
      this.#running--
      this.#settle()
    }
  }

  grow(from: number, to: number): void {
    const { freeBytes, tenantBytesMax } = this.#budget.limits
    if (to <= freeBytes) return
    if (to > tenantBytesMax) throw tooLarge(tenantBytesMax)
    const bytes = to - Math.max(from, freeBytes)
    this.#budget.take(this.#tenant, bytes, from <= freeBytes)
    this.#bytes += bytes
    const whenOver = this.#whenOver
    if (whenOver === undefined) return
    this.#whenOver = undefined
    whenOver(() => this.release())
  }

  drop(size: number): void {
    this.#giveBack(Math.max(0, size - this.#budget.limits.freeBytes))
  }

  release(): void {
    this.#isOver = true
    this.#settle()
  }

  #settle(): void {
    if (this.#isOver && this.#running === 0) this.#giveBack(this.#bytes)
  }

  #giveBack(bytes: number): void {
    if (bytes === 0) return
    this.#bytes -= bytes
    this.#budget.giveBack(this.#tenant, bytes)
  }
}

/** Cut in the middle of its answer, a statement may have taken effect all the same. */
const READ_FIRST = 'If it was a write, read before you repeat it.'

function tooLarge(bytesMax: number): InnkeeperError {
  return new InnkeeperError('payload_too_large', 'The answer is too large to be held in memory', {
    details: `it is larger than ${bytesMax} bytes`,
    hint: `Ask for fewer rows or columns. ${READ_FIRST}`,
  })
}

function refusal(code: 'rate_limited' | 'overloaded', message: string): InnkeeperError {
  return new InnkeeperError(code, message, {
    details: 'an answer stays there until its client has read it',
    hint: 'Read the answers that are under way, or ask for fewer rows or columns: small answers pass.',
    retryAfterMs: 1_000,
  })
}

/** By a connection that was cut for an answer's size. */
export function isRefused(error: unknown): error is InnkeeperError {
  return error instanceof InnkeeperError && (error.code === 'rate_limited' || error.code === 'overloaded')
}

/** The same of a statement that may have changed something: after the other codes clients repeat it by themselves. */
export function refusedInDoubt(cause: InnkeeperError): InnkeeperError {
  return new InnkeeperError('payload_too_large', 'The answer is too large beside those that are in memory already', {
    cause,
    ...(cause.details === undefined ? {} : { details: cause.details }),
    hint: `${cause.hint} ${READ_FIRST}`,
  })
}
