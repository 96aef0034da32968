import { InnkeeperError } from '../../tiers/errors.ts'
import { type GatewayContext, type GatewayMiddleware, setHeader } from './env.ts'
import { whenOver } from './when-over.ts'

/** The requests under way: each with a signal, a deadline, and an end that a shutdown waits for. */
export interface InFlight {
  readonly middleware: GatewayMiddleware
  isDraining(): boolean
  /** From now on connections are closed after their answer; resolves when no request is left, or the time is over. */
  drain(timeoutMs: number): Promise<void>
  close(): void
}

interface Entry {
  readonly c: GatewayContext
  readonly controller: AbortController
  readonly deadlineMs: number
  fail: ((error: InnkeeperError) => void) | null
  /** It has been answered, and the answer has not left yet: how long it may wait is looked after. */
  isLeaving: boolean
}

/** Deadlines are looked at together: a timer for each request would cost more than the rest of this. */
const SWEEP_MS = 250
/** How long a handler has to heed its signal before it is answered for. */
const GRACE_MS = 1_000

/** @param requestTimeoutMs from the head's arrival to the handler's answer; also how long none of that may be taken */
export function createInFlight(requestTimeoutMs: number): InFlight {
  const open = new Set<Entry>()
  /** Those of them whose handler is at work: an answer that has begun may take as long as it likes. */
  const unanswered = new Set<Entry>()
  let isDraining = false
  let whenEmpty: (() => void) | null = null

  const timer = setInterval(sweep, SWEEP_MS)
  timer.unref()

  function sweep(): void {
    const now = performance.now()
    for (const entry of unanswered) {
      // In the order of arrival, so in that of the deadlines.
      if (entry.deadlineMs > now) break
      const error = overdue(entry.c, requestTimeoutMs)
      entry.controller.abort(error)
      if (entry.deadlineMs + GRACE_MS <= now) {
        entry.fail?.(error)
        endBody(entry.c, error)
      }
    }
    for (const entry of open) {
      if (entry.isLeaving || unanswered.has(entry)) continue
      entry.isLeaving = true
      endUntaken(entry.c, requestTimeoutMs)
    }
  }

  function leave(entry: Entry): void {
    if (open.delete(entry) && open.size === 0) whenEmpty?.()
  }

  const middleware: GatewayMiddleware = async function inFlight(c, next) {
    const entry: Entry = {
      c,
      controller: new AbortController(),
      deadlineMs: performance.now() + requestTimeoutMs,
      fail: null,
      isLeaving: false,
    }
    open.add(entry)
    unanswered.add(entry)
    c.set('signal', entry.controller.signal)
    if (isDraining) setHeader(c, 'connection', 'close')
    const outgoing = c.env?.outgoing
    if (outgoing !== undefined) {
      whenOver(c, () => {
        if (!outgoing.writableFinished) {
          entry.controller.abort(new InnkeeperError('client_closed_request', 'The client closed the connection'))
        }
        leave(entry)
      })
    }
    try {
      await new Promise<void>((resolve, reject) => {
        entry.fail = reject
        next().then(resolve, reject)
      })
    } finally {
      entry.fail = null
      unanswered.delete(entry)
      if (outgoing === undefined) leave(entry)
    }
  }

  return {
    middleware,
    isDraining: () => isDraining,
    async drain(timeoutMs) {
      isDraining = true
      if (open.size === 0) return
      await new Promise<void>((resolve) => {
        const limit = setTimeout(resolve, timeoutMs)
        whenEmpty = () => {
          clearTimeout(limit)
          resolve()
        }
      })
      for (const { controller } of open) {
        controller.abort(new InnkeeperError('shutting_down', 'The gateway is shutting down', { retryAfterMs: 1_000 }))
      }
    },
    close() {
      clearInterval(timer)
    },
  }
}

/**
 * Node forgets a request that is answered, and who waits for the rest of its body would wait for good: with the tenant's
 * place, and all that it holds.
 */
function endBody({ env }: GatewayContext, error: InnkeeperError): void {
  const incoming = env?.incoming
  if (incoming !== undefined && !incoming.complete) incoming.socket.once('close', () => incoming.destroy(error))
}

/**
 * Whoever takes nothing of what waits for it, for that long, would hold it for good, and a place of its tenant's with it. An
 * answer that rests because there is nothing more of it yet waits for nobody.
 */
function endUntaken({ env }: GatewayContext, timeoutMs: number): void {
  const outgoing = env?.outgoing
  outgoing?.setTimeout(timeoutMs, () => {
    if (outgoing.writableLength > 0) outgoing.destroy()
  })
}

/**
 * Whose fault it is shows in whether the body has arrived. 408 is for a client that was too slow and for nothing else:
 * browsers send a request again by themselves after a 408, and what the handler did may have taken effect.
 */
function overdue(c: GatewayContext, timeoutMs: number): InnkeeperError {
  if (c.env?.incoming?.complete === false) {
    setHeader(c, 'connection', 'close')
    return new InnkeeperError('request_timeout', `The request did not arrive within ${timeoutMs} ms`)
  }
  return new InnkeeperError('statement_timeout', `The request was not answered within ${timeoutMs} ms`)
}
