import type { Connection } from './connection.ts'
import type { DatabaseLine } from './database-lines.ts'
import { notMade, overloaded } from './pool-errors.ts'

export interface WaitOptions {
  readonly cluster: string
  readonly tenant: string
  readonly queueWaitMs: number
  readonly signal: AbortSignal | undefined
  /** It is over, either way. */
  onEnd(): void
}

/**
 * Puts a caller into the queue for a connection to one database, until it is granted one or the pool refuses, its time is
 * over, or its signal aborts.
 */
export function waitInLine(line: DatabaseLine, options: WaitOptions): Promise<Connection> {
  const { cluster, tenant, queueWaitMs, signal, onEnd } = options
  return new Promise((resolve, reject) => {
    const settle = () => {
      clearTimeout(timer)
      signal?.removeEventListener('abort', onAbort)
      onEnd()
    }
    const waiter = line.queue.push(tenant, {
      since: performance.now(),
      grant: (connection) => {
        settle()
        resolve(connection)
      },
      refuse: (error) => {
        settle()
        reject(error)
      },
    })
    const giveUp = (error: Error) => {
      line.queue.remove(waiter)
      waiter.value.refuse(error)
    }
    const onAbort = () => giveUp(signal!.reason as Error)
    const timer = setTimeout(() => {
      const isMade = line.leased + line.idle.length > 0 || line.making === 0
      giveUp(isMade ? overloaded(`No connection to cluster ${cluster} became free in ${queueWaitMs} ms`) : notMade())
    }, queueWaitMs)
    signal?.addEventListener('abort', onAbort, { once: true })
  })
}
