import { randomUUID } from 'node:crypto'
import { RequestError } from '@hono/node-server'
import { HTTPException } from 'hono/http-exception'
import type { ContentfulStatusCode } from 'hono/utils/http-status'
import type { Logger } from 'pino'
import { type ErrorCode, InnkeeperError } from '../../tiers/errors.ts'
import type { GatewayContext } from './env.ts'
import { asInnkeeperError, problemHeaders, problemOf, problemResponse, statusOf } from './problem.ts'

export interface ErrorAnswers {
  onError(error: Error, c: GatewayContext): Response
  notFound(c: GatewayContext): Response
  onListenerError(error: unknown): Response
}

/** Turns what a request ended in into its answer, and logs what its client is not told. */
export function createOnError(log: Logger): ErrorAnswers {
  function answer(error: InnkeeperError, c: GatewayContext, status = statusOf(error.code)): Response {
    const requestId = c.get('requestId') ?? randomUUID()
    c.get('observed')?.setError(error)
    if (status >= 500) {
      log.error(
        { err: error.cause ?? error, request_id: requestId, error: error.code, owner: error.owner },
        error.message,
      )
    }
    const body = JSON.stringify({ ...problemOf(error, requestId), status })
    // By the context, which holds the headers that were set on the way in.
    return c.body(body, status as ContentfulStatusCode, problemHeaders(error))
  }

  return {
    onError(error, c) {
      // An application's own route says what it means by one of these.
      if (error instanceof HTTPException) {
        if (error.res !== undefined) return error.getResponse()
        return answer(ofHttpException(error), c, error.status)
      }
      // Nobody reads the answer, and what happened is the reason of the signal.
      if (isOfClient(error) && c.get('signal')?.aborted) return answer(asInnkeeperError(c.get('signal').reason), c)
      return answer(asInnkeeperError(error), c)
    },
    notFound(c) {
      return answer(new InnkeeperError('not_found', `There is no ${c.req.method} ${c.req.path}`), c)
    },
    onListenerError(error) {
      const requestId = randomUUID()
      if (error instanceof RequestError) {
        const refused = new InnkeeperError('invalid_request', 'The request is malformed', { details: error.message })
        return problemResponse(refused, requestId)
      }
      // The router lets through what is thrown and is no Error.
      log.error({ err: error, request_id: requestId, error: 'internal', owner: 'platform' }, 'An unexpected error')
      return problemResponse(asInnkeeperError(error), requestId)
    },
  }
}

/** What Node makes of a body whose end does not come. */
function isOfClient(error: Error): boolean {
  return 'code' in error && error.code === 'ECONNRESET' && error.message === 'aborted'
}

const CODES: Readonly<Record<number, ErrorCode>> = {
  400: 'invalid_request',
  401: 'unauthenticated',
  403: 'forbidden',
  404: 'not_found',
  405: 'method_not_allowed',
  408: 'request_timeout',
  409: 'conflict',
  413: 'payload_too_large',
  422: 'invalid_request',
  429: 'rate_limited',
  503: 'overloaded',
}

function ofHttpException(error: HTTPException): InnkeeperError {
  return new InnkeeperError(
    CODES[error.status] ?? (error.status < 500 ? 'invalid_request' : 'internal'),
    error.message,
    {
      cause: error.cause ?? error,
    },
  )
}
