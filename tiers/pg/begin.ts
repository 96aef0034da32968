import { setImmediate as turn } from 'node:timers/promises'
import type postgres from 'postgres'

/** Nothing waits for it: what holds it is forgotten. */
const NEVER = new Promise<never>(() => {})

/**
 * `sql.begin()`, of which nothing goes on when its connection has ended. The package (3.4.9) lets the work go on: what it says
 * from then on, its COMMIT or ROLLBACK too, runs on whatever the connection has become, which may be another's transaction
 * (porsager/postgres#1216).
 *
 * @param args as for `begin`: the work, and before it the transaction's options
 * @returns rejects at once when the connection ends, while the work may still wait for something else
 */
export async function begin(sql: postgres.Sql, args: readonly unknown[]): Promise<unknown> {
  const work = args.at(-1) as (tx: postgres.TransactionSql) => unknown
  const options = args.length > 1 ? String(args[0]) : ''
  let isOver = false
  const guarded = async (tx: postgres.TransactionSql) => {
    try {
      const asked = work(whileOpen(tx, () => isOver))
      return await (Array.isArray(asked) ? Promise.all(asked) : asked)
    } catch (error) {
      // A statement may be told of the connection's end in the same breath as the transaction, and before it.
      await turn()
      throw error
    } finally {
      if (isOver) await NEVER
    }
  }
  try {
    return await sql.begin(options, guarded)
  } finally {
    isOver = true
  }
}

function whileOpen(tx: postgres.TransactionSql, isOver: () => boolean): postgres.TransactionSql {
  const assertOpen = () => {
    if (isOver()) throw Object.assign(new Error('The transaction is over'), { code: 'CONNECTION_CLOSED' })
  }
  return new Proxy(tx, {
    apply(target, _this, args) {
      assertOpen()
      return Reflect.apply(target as never, undefined, args)
    },
    get(target, key) {
      assertOpen()
      return Reflect.get(target, key) as unknown
    },
  })
}

/**
 * Does work while a lock is held, by a transaction that does nothing else. It is kept by no server's limit on idle ones.
 *
 * @param take takes the lock, for its transaction
 * @throws what the work throws; where the connection ended, and the lock with it, that, when the work has ended too
 */
export async function holding<T>(
  sql: postgres.Sql,
  take: (tx: postgres.TransactionSql) => Promise<unknown>,
  work: () => Promise<T>,
): Promise<T> {
  let working: Promise<T> | null = null
  const held = sql.begin(async (tx) => {
    await tx`set local idle_in_transaction_session_timeout = 0`
    await take(tx)
    working = work()
    return working
  })
  try {
    return (await held) as T
  } finally {
    await (working as Promise<T> | null)?.catch(() => {})
  }
}
