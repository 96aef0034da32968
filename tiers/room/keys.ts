import { createHash, createHmac, hkdfSync } from 'node:crypto'

/** A key under which tickets are signed, with the name by which a database knows it. */
export interface TicketKey {
  readonly kid: string
  readonly key: Buffer
}

/**
 * The ticket key of one cluster, derived from its region's key (HKDF, RFC 5869), so that what a database holds opens no
 * other cluster's doors. The name is made from the key itself: the same key always has the same name, and a rotated
 * one another.
 */
export function ticketKey(regionKey: Buffer, cluster: string): TicketKey {
  const key = Buffer.from(hkdfSync('sha256', regionKey, 'innkeeper', `ticket:${cluster}`, 32))
  const kid = createHash('sha256').update('kid').update(key).digest('hex').slice(0, 16)
  return { kid, key }
}

/** The key of one database's tickets, so that a ticket names its database by the key it was signed with. */
export function databaseKey(key: TicketKey, database: string): Buffer {
  return createHmac('sha256', key.key).update(`database:${database}`).digest()
}
