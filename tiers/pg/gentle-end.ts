import type { Duplex } from 'node:stream'
import { setImmediate as turn } from 'node:timers/promises'

/** What is asked for one statement after another while it ends would never be said to have ended. */
const TURNS_MAX = 50

/** AuthenticationSASL, to which the package answers without looking at what it has of the connection. */
const QUESTION = Buffer.concat([Buffer.from([82, 0, 0, 0, 23, 0, 0, 0, 10]), Buffer.from('SCRAM-SHA-256\0\0')])

/**
 * Tells the `postgres` package (3.4.9) of the end of a connection in the only way that does it no harm. By itself a socket
 * says `error` and `close` in one breath, or only `close`; and then
 *
 * - what waits for a connection that ends before the server has said a word waits for ever, while the package connects again
 *   without a pause (porsager/postgres#1193);
 * - the ROLLBACK of a transaction that was running is written to no socket, which ends the process (#1133);
 * - what was to be written is kept, nothing is sent on the next connection in its place, and whoever waits for that one
 *   waits for ever.
 *
 * So an end is always an error first, as often as something is still written, which goes nowhere. And as nobody can see from
 * here whether more is about to be, the package is made to write: the moment after that is the one in which nothing is kept.
 *
 * @param socket that is connected, and not given to the package yet
 */
export function endGently(socket: Duplex): void {
  const { emit, write } = socket
  let error: Error | null = null
  let isEnding = false
  let isClosed = false
  let isWritten = false
  let closesWhenWritten = false
  const tell = emit.bind(socket) as (event: string, value: unknown) => boolean
  const close = () => {
    if (isClosed) return
    isClosed = true
    tell('close', false)
  }
  const end = async (cause: Error) => {
    for (let n = 0; n < TURNS_MAX; n++) {
      isWritten = false
      if (socket.listenerCount('error') > 0) tell('error', cause)
      // It writes at the end of a turn; and who hears of the error may have something to say in this one.
      await turn()
      await turn()
      if (!isWritten) break
    }
    closesWhenWritten = true
    try {
      tell('data', QUESTION)
    } catch {
      // It was cut off in the middle of another message.
    }
    for (let n = 0; n < TURNS_MAX && !isClosed; n++) await turn()
    close()
  }
  socket.emit = (event: string | symbol, ...args: unknown[]) => {
    if (event === 'error') {
      error ??= args[0] as Error
      return true
    }
    if (event !== 'close') return emit.call(socket, event, ...args)
    if (!isEnding) {
      isEnding = true
      void end(error ?? new Error('the server closed the connection'))
    }
    return true
  }
  socket.write = ((...args: Parameters<Duplex['write']>) => {
    if (!socket.destroyed) return write.apply(socket, args)
    isWritten = true
    if (closesWhenWritten) process.nextTick(close)
    return true
  }) as Duplex['write']
}
