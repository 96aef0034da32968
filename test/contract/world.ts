import { type ConfigInput, resolveConfig } from '../../config/index.ts'
import { type OpenTenants, openTenants } from '../../tiers/open-tenants.ts'
import type { Isolation } from '../../tiers/types.ts'
import { LAB_INPUT, type Lab, startLab, withCluster } from '../isolation/support/lab.ts'
import type { PostgresVersion } from '../support/postgres.ts'
import * as schema from './schema.ts'

export interface ContractOptions {
  readonly version: PostgresVersion
  /** What stands between the gateway and the server; says where it listens. */
  readonly through?: (lab: Lab) => Promise<{ url: string; close(): Promise<void> } | null>
  readonly preparedStatements?: boolean
}

export type ContractDb = OpenTenants<typeof schema>

export interface ContractWorld {
  readonly lab: Lab
  readonly tenants: ContractDb
  /** With limits that are soon reached, and few connections. */
  readonly strict: ContractDb
  close(): Promise<void>
}

/** One tenant of an isolation model, as the parts of the contract use it. What is of the world is there when a test runs. */
export interface ContractRoom extends Pick<ContractWorld, 'lab' | 'tenants' | 'strict'> {
  readonly isolation: Isolation
  readonly slug: string
  db(): ReturnType<ContractDb['for']>
  databaseOf(which: Isolation): ReturnType<Lab['root']>
}

export const STATEMENT_MS = 700
export const TRANSACTION_MS = 1_200
const LIMITS = {
  statementTimeoutMs: STATEMENT_MS,
  transactionTimeoutMs: TRANSACTION_MS,
  lockTimeoutMs: 300,
  connectionsMax: 2,
}

export async function startContractWorld({
  version,
  through,
  preparedStatements = true,
}: ContractOptions): Promise<ContractWorld> {
  const undo: (() => Promise<unknown>)[] = []
  const close = async () => {
    for (const step of undo.splice(0).reverse()) await step()
  }
  try {
    const lab = await startLab({ version })
    undo.push(() => lab.close())
    const front = (await through?.(lab)) ?? null
    if (front !== null) undo.push(() => front.close())
    const env = { ...lab.env, ...(front && { INNKEEPER_US_1_URL: front.url }) }
    const open = async (change: (i: ConfigInput) => ConfigInput) => {
      const opened = await openTenants(resolveConfig(change(LAB_INPUT), { kind: 'gateway', region: 'us' }, env), {
        schema,
      })
      undo.push(() => opened.close(0))
      return opened
    }
    const tenants = await open(withCluster({ preparedStatements, connectionsMax: 12 }))
    const strict = await open((from) => {
      const changed = withCluster({ preparedStatements, connectionsMax: 2, statementsPerConnectionMax: 8 })(from)
      const tiers = Object.fromEntries(
        Object.entries(from.tiers).map(([name, tier]) => [name, { ...tier, limits: LIMITS }]),
      )
      return { ...changed, tiers }
    })
    return { lab, tenants, strict, close }
  } catch (error) {
    await close()
    throw error
  }
}

/** @param world is asked for when a test runs: tests are named before there is one */
export function roomOf(isolation: Isolation, world: () => ContractWorld): ContractRoom {
  const slug = `a-${isolation}`
  return {
    isolation,
    slug,
    get lab() {
      return world().lab
    },
    get tenants() {
      return world().tenants
    },
    get strict() {
      return world().strict
    },
    db: () => world().tenants.for(slug),
    databaseOf(which) {
      const { lab } = world()
      return lab.root(lab.pairs[which].a.placement!.database)
    },
  }
}
