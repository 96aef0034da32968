import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Dispatcher } from 'undici'
import { answerHeaders } from './peer-headers.ts'

export interface ExchangeOptions {
  readonly dispatcher: Dispatcher
  readonly path: string
  readonly method: string
  readonly headers: string[]
  /** Whose body is sent; null for a request without one. */
  readonly body: IncomingMessage | null
  readonly outgoing: ServerResponse
  /** Ends the wait for an answer's head; its reason is an InnkeeperError. */
  readonly signal: AbortSignal
  /** How long it may wait for a connection to the peer. */
  readonly queueWaitMs: number
  /** Called before the head is written; may add headers, names and values in turn. */
  readonly onHead: (status: number, headers: string[]) => void
  /** When the answer broke off after its head: the client's connection is cut, since nothing else tells it. */
  readonly onBroken: (error: Error) => void
}

const SMALL_BYTES_MAX = 16 * 1024

/** A failure before the first byte of an answer. */
export class ExchangeError extends Error {
  /** Whether the peer may have got the request. */
  readonly isSent: boolean
  constructor(cause: Error, isSent: boolean) {
    super(cause.message, { cause })
    this.isSent = isSent
  }
}

/**
 * Sends one request and streams its answer, each at the pace of the slower side. Bytes go as they come: undici's handler
 * writes to the response itself, which costs half of what two web streams in between would.
 *
 * Resolves as soon as the head is written; the rest follows by itself.
 * @throws ExchangeError before a byte of the answer was written
 */
export function exchange(options: ExchangeOptions): Promise<void> {
  const { dispatcher, path, method, headers, body, outgoing, signal, queueWaitMs, onHead, onBroken } = options
  return new Promise((resolve, reject) => {
    let controller: Dispatcher.DispatchController | null = null
    let isSent = false
    let isAnswered = false
    let isOver = false
    let length = Number.NaN

    const abort = () => {
      if (controller !== null) controller.abort(signal.reason)
      else fail(signal.reason)
    }
    const fail = (error: Error) => {
      isOver = true
      clearTimeout(waiting)
      signal.removeEventListener('abort', abort)
      if (!isAnswered) reject(new ExchangeError(error, isSent))
      else if (!outgoing.destroyed) {
        onBroken(error)
        outgoing.destroy()
      }
    }
    const waiting = setTimeout(() => fail(new Error(`no connection in ${queueWaitMs} ms`)), queueWaitMs)
    if (signal.aborted) {
      fail(signal.reason)
      return
    }
    signal.addEventListener('abort', abort, { once: true })

    const handler: Dispatcher.DispatchHandler = {
      onRequestStart(started) {
        controller = started
        clearTimeout(waiting)
        if (isOver) started.abort(new Error('nobody waits for it any more'))
        else isSent = true
      },
      onResponseStart(started, status, { 'content-length': declared }) {
        if (status < 200) return
        const answer = answerHeaders((started.rawHeaders ?? []) as (Buffer | string)[])
        onHead(status, answer)
        outgoing.writeHead(status, answer)
        length = Number(declared ?? Number.NaN)
        isAnswered = true
        // From now on there is no deadline: only the client's going away ends it, or this gateway's.
        signal.removeEventListener('abort', abort)
        outgoing.once('close', () => {
          if (!outgoing.writableFinished) started.abort(new Error('the client closed the connection'))
        })
        // What comes with the head leaves with it; a body that is yet to come does not hold the head back.
        process.nextTick(() => outgoing.writableEnded || outgoing.flushHeaders())
        resolve()
      },
      onResponseData(started, chunk) {
        if (chunk.length === length && length <= SMALL_BYTES_MAX) {
          // The whole answer in one piece: as text Node sends it in one piece with its head.
          outgoing.end(chunk.toString('latin1'), 'latin1')
          return
        }
        if (outgoing.write(chunk)) return
        started.pause()
        outgoing.once('drain', () => started.resume())
      },
      onResponseEnd() {
        if (!outgoing.writableEnded) outgoing.end()
      },
      onResponseError: (_started, error) => fail(error),
    }
    // Not the stream itself: a stream is destroyed with its request, and the client's connection with it.
    const bytes = body === null ? null : body.iterator({ destroyOnReturn: false })
    dispatcher.dispatch({ path, method: method as Dispatcher.HttpMethod, headers, body: bytes as never }, handler)
  })
}
