import type postgres from 'postgres'
import { begin } from './begin.ts'

/** A pool that stays the same for whoever holds it, while its connections are given up all at once. */
export interface Renewable {
  readonly sql: postgres.Sql
  /**
   * Ends every connection, whatever it waits for, and goes on with new ones. What ran on them fails as with any lost
   * connection. For a network that forgets connections without a word: the package would wait for an answer as long as TCP
   * goes on trying, and send new statements after the old ones.
   */
  renew(): void
}

export function renewable(open: () => postgres.Sql): Renewable {
  let current = open()
  const callable = (() => {}) as unknown as postgres.Sql
  const sql = new Proxy(callable, {
    apply: (_target, _this, args) => Reflect.apply(current, undefined, args),
    get: (_target, key) =>
      key === 'begin' ? (...args: unknown[]) => begin(current, args) : (Reflect.get(current, key) as unknown),
  })
  return {
    sql,
    renew() {
      const old = current
      const next = open()
      // Drizzle changes how values are read and written on the very pool that it is given.
      Object.assign(next.options.parsers, old.options.parsers)
      Object.assign(next.options.serializers, old.options.serializers)
      current = next
      void old.end({ timeout: 0 }).catch(() => {})
    },
  }
}
