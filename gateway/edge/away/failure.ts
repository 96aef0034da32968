import { InnkeeperError, isInnkeeperError } from '../../../tiers/errors.ts'

const RETRY_MS = 1_000
/** May have been done although nobody heard of it, and would be done twice if repeated. */
const NOT_IDEMPOTENT: ReadonlySet<string> = new Set(['POST', 'PATCH'])
/** The connection failed; the request as such may well succeed on the next. */
const OF_CONNECTION: ReadonlySet<unknown> = new Set(['UND_ERR_SOCKET', 'ECONNREFUSED', 'ECONNRESET', 'EPIPE'])
/** What the client sent, or ceased to send, cannot be a request. */
const OF_CLIENT: ReadonlySet<unknown> = new Set(['ECONNRESET', 'ERR_STREAM_PREMATURE_CLOSE', 'ABORT_ERR'])

/** Whether a request is tried once more: it changes nothing, and no byte of an answer has come. */
export function mayRetry(error: Error, method: string, hasBody: boolean): boolean {
  return (method === 'GET' || method === 'HEAD') && !hasBody && OF_CONNECTION.has(codeOf(error))
}

/** @param isSent whether home may have got the request */
export function failureOf(error: Error, isSent: boolean, method: string, region: string): InnkeeperError {
  // The client went away, or this gateway is stopping. A deadline is home's being slow.
  if (isInnkeeperError(error) && error.code !== 'statement_timeout') return error
  const code = codeOf(error)
  if (code === 'UND_ERR_INVALID_ARG') {
    return new InnkeeperError('invalid_request', 'The request cannot be forwarded', { details: error.message })
  }
  if (code === 'UND_ERR_REQ_CONTENT_LENGTH_MISMATCH' || (OF_CLIENT.has(code) && error.message === 'aborted')) {
    return new InnkeeperError('client_closed_request', 'The client closed the connection', { cause: error })
  }
  if (isSent && NOT_IDEMPOTENT.has(method)) {
    return new InnkeeperError('outcome_unknown', `Region ${region} was lost before it answered`, {
      hint: 'The change may have been made: read before you repeat it.',
      cause: error,
    })
  }
  return new InnkeeperError('region_unavailable', `The tenant's home region ${region} does not answer`, {
    retryAfterMs: RETRY_MS,
    hint: 'The request was not answered from anywhere else: its data is there only.',
    cause: error,
  })
}

function codeOf(error: Error): unknown {
  return 'code' in error ? error.code : undefined
}
