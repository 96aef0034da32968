import type { Duplex } from 'node:stream'
import { setImmediate as turn } from 'node:timers/promises'

/** What is asked for one statement after another while it ends would never be said to have ended. */
const TURNS_MAX = 50

/** A greeting that has not been written after so many is kept. */
const GREETING_TURNS = 5
/** What is kept is written when it has come to a kilobyte; an answer to the question is some fifty bytes. */
const QUESTIONS_MAX = 60

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
 * Where it does not answer, being in the middle of a message, something may be kept all the same. A connection that is not greeted
 * shows it: then the package is made to write so much that it forgets, and connects again.
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
  let isGreeted = false
  let isDeaf = false
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
  const awaitGreeting = async () => {
    for (let n = 0; n < TURNS_MAX && socket.listenerCount('data') === 0; n++) await turn()
    for (let n = 0; n < GREETING_TURNS && !isGreeted; n++) await turn()
    if (isGreeted || isEnding || socket.listenerCount('data') === 0) return
    isDeaf = true
    closesWhenWritten = true
    for (let n = 0; n < QUESTIONS_MAX && !isClosed && !isEnding; n++) {
      tell('data', QUESTION)
      await turn()
    }
    socket.destroy()
  }
  // Whatever a package in that state makes of a question: its next connection is another one.
  awaitGreeting().catch(() => socket.destroy())
  socket.write = ((...args: Parameters<Duplex['write']>) => {
    isGreeted = true
    if (!socket.destroyed && !isDeaf) return write.apply(socket, args)
    isWritten = true
    if (closesWhenWritten) process.nextTick(close)
    return true
  }) as Duplex['write']
}
