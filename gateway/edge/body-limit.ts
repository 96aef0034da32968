import { InnkeeperError } from '../../tiers/errors.ts'
import type { GatewayContext } from './env.ts'

/**
 * Holds the request's body to the tier's limit, before a byte of it is read. Node itself keeps a declared length; a body
 * that comes in chunks declares none, so it is read here, no further than the limit, and handed on whole.
 *
 * @throws InnkeeperError `payload_too_large`, `invalid_request`
 */
export async function limitBody(c: GatewayContext, bytesMax: number): Promise<void> {
  const { headers } = c.req.raw
  const declared = headers.get('content-length')
  if (declared !== null && Number(declared) > bytesMax) throw bodyTooLarge(bytesMax)
  requireChunks(headers.get('transfer-encoding'))
  sendContinue(c)
  if (!headers.has('transfer-encoding')) return
  c.req.raw = await readUpTo(c.req.raw, bytesMax)
}

/** A client that waits before it sends a body is told to go on only now that the body will be read. */
function sendContinue({ env }: GatewayContext): void {
  const outgoing = env?.outgoing
  if (outgoing !== undefined && 'req' in outgoing && outgoing.req.headers.expect !== undefined) outgoing.writeContinue()
}

async function readUpTo(request: Request, bytesMax: number): Promise<Request> {
  if (request.body === null) return request
  const chunks: Uint8Array[] = []
  let bytes = 0
  for await (const chunk of request.body) {
    bytes += chunk.byteLength
    if (bytes > bytesMax) throw bodyTooLarge(bytesMax)
    chunks.push(chunk)
  }
  return new Request(request.url, {
    method: request.method,
    headers: request.headers,
    body: Buffer.concat(chunks),
    signal: request.signal,
  })
}

/** Only chunks are undone here: anything more would arrive as if it had not been coded. @throws InnkeeperError `invalid_request` */
export function requireChunks(coding: string | null): void {
  if (coding === null || coding.trim().toLowerCase() === 'chunked') return
  throw new InnkeeperError('invalid_request', 'The transfer coding is not supported', { field: 'Transfer-Encoding' })
}

export function bodyTooLarge(bytesMax: number): InnkeeperError {
  return new InnkeeperError('payload_too_large', `The body is larger than the ${bytesMax} bytes that the tier allows`, {
    hint: 'Send it in several requests.',
  })
}
