import { ServerResponse } from 'node:http'

export type OutgoingHeaders = Record<string, string | number | string[]>

/**
 * A server response that holds the edge's headers in a plain object until its head is written, and puts those under the
 * handler's. Node's own `setHeader` would turn every head, however it is written, onto the slow way of one call for each.
 */
export class EdgeResponse extends ServerResponse {
  /** By lower-case name. A handler's header of the same name wins. */
  readonly edgeHeaders: OutgoingHeaders = {}
  /** The answer is another gateway's, and its head is on its way: what would be written over it is not. */
  isForwarded = false

  // biome-ignore lint/suspicious/noExplicitAny: it overrides a method with three signatures
  override writeHead(status: number, ...rest: any[]): this {
    // The router makes an answer of its own of every answer to HEAD.
    if (this.isForwarded) return this
    const given = rest.at(-1)
    if (rest.length > 1 || (given !== undefined && (typeof given !== 'object' || Array.isArray(given)))) {
      for (const name in this.edgeHeaders) this.setHeader(name, this.edgeHeaders[name]!)
      return super.writeHead(status, ...rest)
    }
    return super.writeHead(status, this.#merge(given))
  }

  #merge(given: OutgoingHeaders | undefined): OutgoingHeaders {
    const merged: OutgoingHeaders = { ...this.edgeHeaders }
    for (const name in given) {
      const lower = name.toLowerCase()
      // The edge varies by what the handler does not know of, and the other way round.
      merged[lower] = lower === 'vary' && lower in merged ? `${merged.vary}, ${given[name]}` : given[name]!
    }
    return merged
  }
}
