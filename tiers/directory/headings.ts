import type postgres from 'postgres'
import { ISOLATIONS, isTenantId, type Placement, type TenantId } from '../types.ts'

/** Where a tenant is about to live, said shortly before it does: nothing depends on its being heard. */
export interface Heading {
  readonly tenant: TenantId
  readonly placement: Placement
}

/** What a directory hears, for whoever would otherwise ask it again and again. */
export interface DirectoryNews {
  onHeading(listener: (heading: Heading) => void): void
  /** Something of the tenant has changed: what was known of it before is not fresh any more. */
  onChange(listener: (tenant: TenantId) => void): void
  /** Something has changed, of whom is not known yet: that takes another round trip. */
  onNotice(listener: () => void): void
}

const CHANNEL = 'innkeeper_headings'

/** Says to all gateways where a tenant is about to live, so that those who serve it there make connections in time. */
export async function sayHeading(sql: postgres.Sql, heading: Heading): Promise<void> {
  await sql`select pg_notify(${CHANNEL}, ${JSON.stringify(heading)})`
}

/** @returns to be called at the end */
export async function listenToHeadings(
  sql: postgres.Sql,
  tell: (heading: Heading) => void,
): Promise<() => Promise<void>> {
  const { unlisten } = await sql.listen(CHANNEL, (payload) => {
    const heading = parsed(payload)
    if (heading !== null) tell(heading)
  })
  return unlisten
}

/** Null for what is none: whoever may write to the control database may notify. */
function parsed(payload: string): Heading | null {
  try {
    const { tenant, placement } = JSON.parse(payload) as Heading
    const { cluster, database, schema, isolation, epoch } = placement
    const isSaid = [tenant, cluster, database, schema].every((text) => typeof text === 'string')
    if (!isSaid || !isTenantId(tenant) || !ISOLATIONS.includes(isolation) || !Number.isSafeInteger(epoch)) return null
    return { tenant, placement: { cluster, database, schema, isolation, epoch } }
  } catch {
    return null
  }
}
