import type { TenantList } from './directory/types.ts'
import { InnkeeperError } from './errors.ts'
import type { Tenant, TenantId } from './types.ts'

export interface EachOptions {
  /** How many tenants at a time; 4 where left out. */
  readonly concurrency?: number
  readonly tiers?: readonly string[]
  readonly regions?: readonly string[]
  /** No further tenant is begun after it aborts. */
  readonly signal?: AbortSignal
  /** Called after each tenant. */
  readonly onDone?: (tenant: Tenant, error: Error | null) => void
}

export interface EachReport {
  readonly visited: number
  readonly failures: readonly { readonly tenant: Tenant; readonly error: Error }[]
}

const PAGE = 200

/** Visits every active tenant once, a page of the directory at a time, with a bounded number under way. */
export async function eachTenant(
  directory: Partial<TenantList>,
  held: readonly string[],
  visit: (tenant: Tenant) => Promise<void>,
  { concurrency = 4, tiers, regions = held, signal, onDone }: EachOptions,
): Promise<EachReport> {
  const { list } = directory
  if (list === undefined) throw new InnkeeperError('invalid_config', 'This directory cannot list tenants')
  const failures: { tenant: Tenant; error: Error }[] = []
  let visited = 0
  let after: TenantId | undefined
  for (;;) {
    const filter = { regions: regions.filter((r) => held.includes(r)), after, limit: PAGE }
    const page = await list(tiers ? { ...filter, tiers } : filter)
    const waiting = [...page]
    const worker = async () => {
      for (let tenant = waiting.shift(); tenant !== undefined && !signal?.aborted; tenant = waiting.shift()) {
        let failure: Error | null = null
        try {
          await visit(tenant)
        } catch (error) {
          failure = error as Error
          failures.push({ tenant, error: failure })
        }
        visited++
        onDone?.(tenant, failure)
      }
    }
    await Promise.all(Array.from({ length: Math.max(1, concurrency) }, worker))
    if (page.length < PAGE || signal?.aborted) return { visited, failures }
    after = page.at(-1)!.id
  }
}
