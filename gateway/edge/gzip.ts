import type { ServerResponse } from 'node:http'
import { gzip } from 'node:zlib'
import { EdgeResponse, type OutgoingHeaders as Headers } from './response.ts'

/** Below this a body fits in a packet or two, and gzip saves nothing worth its time. */
const BYTES_MIN = 1_024
/** Of JSON, level 3 leaves about a tenth more than level 6 and takes half its time. */
const LEVEL = 3
const COMPRESSIBLE = /^(?:text\/(?!event-stream)|application\/(?:[\w.-]+\+)?(?:json|xml|javascript)\b|image\/svg\+xml)/i

/**
 * A server response that compresses whole bodies for clients that accept it. It sits at Node's own extension point for
 * responses, because there a body is still one string: one level up, in a middleware, looking at it turns it into a stream
 * first, which costs every small answer more than gzip costs a large one. What is written in pieces is left alone.
 */
export class GzipResponse extends EdgeResponse {
  #head: { status: number; headers: Headers } | null = null

  // biome-ignore lint/suspicious/noExplicitAny: it overrides a method with three signatures
  override writeHead(status: number, ...rest: any[]): this {
    const headers = rest.at(-1) as Headers | undefined
    const isPlain = typeof headers === 'object' && headers !== null && !Array.isArray(headers)
    if (!isPlain || rest.length !== 1 || !this.#mayCompress(status, headers)) return super.writeHead(status, ...rest)
    this.#head = { status, headers }
    return this
  }

  // biome-ignore lint/suspicious/noExplicitAny: it overrides a method with three signatures
  override write(...args: any[]): boolean {
    this.#sendHead()
    return super.write(...(args as Parameters<ServerResponse['write']>))
  }

  override flushHeaders(): void {
    this.#sendHead()
    super.flushHeaders()
  }

  // biome-ignore lint/suspicious/noExplicitAny: it overrides a method with three signatures
  override end(...args: any[]): this {
    const head = this.#head
    const body = args[0]
    const isWhole = typeof body === 'string' || body instanceof Uint8Array
    if (head === null || !isWhole || Buffer.byteLength(body) < BYTES_MIN) {
      this.#sendHead()
      return super.end(...args)
    }
    this.#head = null
    gzip(body, { level: LEVEL }, (error, packed) => {
      if (this.destroyed) return
      // Out of memory for it, say: the body as it is will do.
      if (error !== null) super.writeHead(head.status, head.headers).end(body)
      else super.writeHead(head.status, packedHeaders(head.headers, packed.length)).end(packed)
    })
    return this
  }

  #mayCompress(status: number, headers: Headers): boolean {
    if (this.req.method === 'HEAD' || status < 200 || status === 204 || status === 206 || status === 304) return false
    const type = headerOf(headers, 'content-type')
    if (typeof type !== 'string' || !COMPRESSIBLE.test(type)) return false
    if (headerOf(headers, 'content-encoding') !== undefined) return false
    if (/\bno-transform\b/.test(String(headerOf(headers, 'cache-control') ?? ''))) return false
    // Whoever stores the answer must know that it could have been another one.
    const { vary } = this.edgeHeaders
    this.edgeHeaders.vary = vary === undefined ? 'Accept-Encoding' : `${vary}, Accept-Encoding`
    return acceptsGzip(this.req.headers['accept-encoding'])
  }

  #sendHead(): void {
    const head = this.#head
    if (head === null) return
    this.#head = null
    super.writeHead(head.status, head.headers)
  }
}

/** RFC 9110: named, or by `*`, and not with a weight of 0. */
export function acceptsGzip(accept: string | string[] | undefined): boolean {
  if (accept === undefined) return false
  let any = false
  for (const part of String(accept).split(',')) {
    const [coding = '', ...parameters] = part.split(';').map((text) => text.trim().toLowerCase())
    const isRefused = parameters.some((p) => /^q=0(?:\.0*)?$/.test(p))
    if (coding === 'gzip' || coding === 'x-gzip') return !isRefused
    if (coding === '*') any = !isRefused
  }
  return any
}

function packedHeaders(headers: Headers, length: number): Headers {
  const packed: Headers = {}
  for (const [name, value] of Object.entries(headers)) {
    const lower = name.toLowerCase()
    if (lower === 'content-length') continue
    // The bytes are no longer those that a strong validator stands for.
    packed[name] = lower === 'etag' && !String(value).startsWith('W/') ? `W/${value}` : value
  }
  return { ...packed, 'content-encoding': 'gzip', 'content-length': length }
}

function headerOf(headers: Headers, wanted: string): string | number | string[] | undefined {
  for (const name in headers) if (name.length === wanted.length && name.toLowerCase() === wanted) return headers[name]
  return undefined
}
