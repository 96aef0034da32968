import { LRUCache } from 'lru-cache'

/** A value with the change number at which it was read: it holds unless a later change named its key. */
export interface Versioned<T> {
  readonly value: T
  readonly asOf: number
}

export interface LoadingCacheOptions<T> {
  readonly entriesMax: number
  readonly ttlMs: number
  /** For null, the answer "there is none". */
  readonly negativeTtlMs: number
  /** How old an answer may be that is served because the source is out of reach. */
  readonly staleMs: number
  /**
   * Null values are answers. Rejects when the source is out of reach.
   * @param asOfLeast an answer from a cache in between must not be older; infinite where none from a cache will do
   */
  load(key: string, asOfLeast: number): Promise<Versioned<T | null>>
  /** True while the source is known not to answer: then old answers are served at once. */
  down(): boolean
}

interface Entry<T> {
  value: T | null
  asOf: number
  loadedAtMs: number
  freshUntilMs: number
}

interface Refresh<T> {
  readonly load: Promise<T | null>
  /** For those who asked after it had begun. */
  next: Promise<T | null> | null
}

const noop = () => {}

/** In milliseconds since 1970, as the process began: a clock that is set meanwhile makes nothing older or younger. */
const now = () => performance.timeOrigin + performance.now()

/**
 * A cache in front of a source that numbers its changes. Single flight per key; "not found" is a value; an answer that
 * was being fetched when a change of its key arrived is given to who asked but never stored; stale answers serve while the source is down.
 */
export class LoadingCache<T> {
  readonly #options: LoadingCacheOptions<T>
  readonly #found: LRUCache<string, Entry<T>>
  /** Apart from the others, so that asking for names that do not exist pushes no real entry out. */
  readonly #missing: LRUCache<string, Entry<T>>
  readonly #loads = new Map<string, Promise<T | null>>()
  readonly #refreshes = new Map<string, Refresh<T>>()
  /** The latest change of a key, kept for longer than any load takes, and than a cache in between keeps an answer. */
  readonly #changed: LRUCache<string, number>
  #gapAtMs = 0
  #stores = 0

  constructor(options: LoadingCacheOptions<T>) {
    this.#options = options
    this.#changed = new LRUCache({ max: 10_000, ttl: Math.max(60_000, options.ttlMs) })
    this.#found = new LRUCache({ max: options.entriesMax })
    this.#missing = new LRUCache({ max: Math.max(1_000, Math.floor(options.entriesMax / 10)) })
  }

  get size(): number {
    return this.#found.size
  }

  /** How many answers were kept so far: unchanged, nothing was learnt. */
  get stores(): number {
    return this.#stores
  }

  has(key: string): boolean {
    return this.#found.has(key)
  }

  /** What would serve if the source were out of reach: key, value and when it was loaded. */
  *held(): Generator<[key: string, value: T, loadedAtMs: number]> {
    for (const [key, entry] of this.#found.entries()) {
      if (entry.value !== null && this.#isServable(entry)) yield [key, entry.value, entry.loadedAtMs]
    }
  }

  /** Takes what an earlier process held: never fresh, so that the source is asked first wherever it can be. */
  restore(key: string, value: T, loadedAtMs: number): void {
    const entry = { value, asOf: -1, loadedAtMs: Math.min(loadedAtMs, now()), freshUntilMs: 0 }
    if (this.#isServable(entry) && !this.#found.has(key)) this.#found.set(key, entry)
  }

  /** What is held and fresh; undefined otherwise. */
  peek(key: string): T | null | undefined {
    const entry = this.#found.get(key) ?? this.#missing.get(key)
    return entry !== undefined && this.#isFresh(entry) ? entry.value : undefined
  }

  async get(key: string): Promise<T | null> {
    const entry = this.#found.get(key) ?? this.#missing.get(key)
    if (entry !== undefined) {
      if (this.#isFresh(entry)) return entry.value
      if (this.#options.down() && this.#isServable(entry)) return entry.value
    }
    try {
      return await this.#loadOnce(key)
    } catch (error) {
      if (entry !== undefined && this.#isServable(entry)) return entry.value
      throw error
    }
  }

  /**
   * Asks the source whatever is held, and joins no load that began before. Those who ask while one of these is under way
   * share the next: however many requests wait for a tenant that is being moved, its source is asked by one at a time.
   */
  refresh(key: string): Promise<T | null> {
    const running = this.#refreshes.get(key)
    if (running === undefined) return this.#refreshNow(key)
    running.next ??= running.load.then(noop, noop).then(() => this.#refreshNow(key))
    return running.next
  }

  #refreshNow(key: string): Promise<T | null> {
    this.#loads.delete(key)
    const refresh: Refresh<T> = { load: this.#loadOnce(key, Infinity), next: null }
    this.#refreshes.set(key, refresh)
    const done = () => {
      if (this.#refreshes.get(key) === refresh) this.#refreshes.delete(key)
    }
    refresh.load.then(done, done)
    return refresh.load
  }

  /** Keeps an answer that was obtained on the way to another. */
  offer(key: string, answer: Versioned<T>): void {
    this.#store(key, answer, now())
  }

  /** A change numbered `seq` touched this key. The old answer stays, for the case that the source cannot be asked. */
  invalidate(key: string, seq: number): void {
    this.#changed.set(key, seq)
    this.#loads.delete(key)
    const entry = this.#found.peek(key)
    if (entry !== undefined) {
      if (entry.asOf < seq) entry.freshUntilMs = 0
    } else this.#missing.delete(key)
  }

  /** Nothing that was loaded before now counts as fresh. */
  expireAll(): void {
    this.#gapAtMs = now()
    this.#loads.clear()
  }

  #isFresh(entry: Entry<T>): boolean {
    return now() < entry.freshUntilMs && entry.loadedAtMs >= this.#gapAtMs
  }

  #isServable(entry: Entry<T>): boolean {
    return now() - entry.loadedAtMs < this.#options.staleMs
  }

  #loadOnce(key: string, asOfLeast = this.#changed.get(key) ?? 0): Promise<T | null> {
    const running = this.#loads.get(key)
    if (running !== undefined) return running
    const startedAtMs = now()
    const load: Promise<T | null> = this.#options.load(key, asOfLeast).then(
      (answer) => {
        if (this.#loads.get(key) === load) this.#loads.delete(key)
        this.#store(key, answer, startedAtMs)
        return answer.value
      },
      (error) => {
        if (this.#loads.get(key) === load) this.#loads.delete(key)
        throw error
      },
    )
    this.#loads.set(key, load)
    return load
  }

  #store(key: string, { value, asOf }: Versioned<T | null>, loadedAtMs: number): void {
    if ((this.#changed.get(key) ?? -1) > asOf || loadedAtMs < this.#gapAtMs) return
    const held = this.#found.peek(key)
    // Past a gap numbers may have begun anew.
    if (held !== undefined && held.asOf > asOf && held.loadedAtMs >= this.#gapAtMs) return
    const { ttlMs, negativeTtlMs } = this.#options
    // Spread out, so that what was loaded together is not loaded again together.
    const lifeMs = (value === null ? negativeTtlMs : ttlMs) * (0.9 + Math.random() * 0.2)
    const entry = { value, asOf, loadedAtMs, freshUntilMs: loadedAtMs + lifeMs }
    this.#stores++
    if (value === null) {
      this.#found.delete(key)
      this.#missing.set(key, entry)
    } else {
      this.#missing.delete(key)
      this.#found.set(key, entry)
    }
  }
}
