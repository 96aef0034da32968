import { LRUCache } from 'lru-cache'
import { quoteIdent } from '../quote.ts'
import { ROOM_IDENTIFIER } from '../types.ts'

/**
 * Very long texts are seldom sent twice. Prepared they would push the good ones out of a connection's statements; kept here,
 * some thousands of them are more than there is memory.
 */
export const PREPARED_CHARS_MAX = 16_384

/**
 * Puts the tenant's schema into statement texts. Qualified names, not a search path, because a path that changes makes
 * the server plan a prepared statement again. The result is cached: the same text object serves every request, so the
 * connection's statement cache finds it without hashing a new string each time.
 */
export function createRoomText(entriesMax: number): (text: string, schema: string) => string {
  const cache = new LRUCache<string, Map<string, string>>({ max: entriesMax })
  return (text, schema) => {
    let bySchema = cache.get(text)
    if (bySchema === undefined) {
      if (!text.includes(ROOM_IDENTIFIER)) return text
      if (text.length > PREPARED_CHARS_MAX) return text.replaceAll(ROOM_IDENTIFIER, quoteIdent(schema))
      bySchema = new Map()
      cache.set(text, bySchema)
    }
    const known = bySchema.get(schema)
    if (known !== undefined) return known
    const made = text.replaceAll(ROOM_IDENTIFIER, quoteIdent(schema))
    // A text has as many forms as there are schemas; past the bound they are made anew rather than kept.
    if (bySchema.size < 256) bySchema.set(schema, made)
    return made
  }
}
