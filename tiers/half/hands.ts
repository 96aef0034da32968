import { type ClusterConfig, parsePostgresUrl, type RegionSecrets } from '../../config/index.ts'
import type { RegionStores } from '../control/region-stores.ts'
import { InnkeeperError } from '../errors.ts'
import { type MigrationFile, versionOf } from '../migrate/files.ts'
import { ticketKey } from '../room/keys.ts'
import { appLogin } from '../tenancy/roles.ts'
import type { Placement, TenantId } from '../types.ts'

/**
 * What the control plane has done by a region's half, because it takes what only the region has: its keys, and the password
 * of its gateways' role. All else that it does there is SQL, in sessions that the half opens for it.
 */
export interface RegionHands {
  /** Brings every cluster of the region and its key store to the half's version. Idempotent. */
  install(): Promise<void>
  /** @param version of the migrations that are meant, here and below: see {@link versionOf} */
  makeRoom(tenant: TenantId, placement: Placement, version: string): Promise<void>
  /** @returns the names of the files applied */
  migrate(room: RoomName, version: string): Promise<string[]>
  about(): Promise<RegionFacts>
}

export interface RoomName {
  readonly cluster: string
  readonly database: string
  readonly schema: string
}

/** What can be told of a region's credentials to who does not have them. */
export interface RegionFacts {
  /** Null where it has none. */
  readonly redisHost: string | null
  readonly clusters: readonly ClusterSecretsFacts[]
}

export interface ClusterSecretsFacts {
  readonly name: string
  /** The gateways' role. */
  readonly app: string
  /** Names of the ticket keys. */
  readonly kids: readonly string[]
  /** How many hosts its URLs name, the gateways' and the admin role's. */
  readonly hosts: readonly number[]
}

export function regionFacts({ redisUrl, clusters, key, keyPrevious }: RegionSecrets): RegionFacts {
  const keys = [key, ...(keyPrevious === null ? [] : [keyPrevious])]
  const factsOf = ({ name, url, adminUrl }: ClusterConfig): ClusterSecretsFacts => ({
    name,
    app: appLogin(url).user,
    kids: keys.map((k) => ticketKey(k, name).kid),
    hosts: [url, ...(adminUrl === null ? [] : [adminUrl])].map((u) => parsePostgresUrl(u).hosts.length),
  })
  return { redisHost: redisUrl === null ? null : new URL(redisUrl).host, clusters: [...clusters.values()].map(factsOf) }
}

export interface HandsOptions {
  readonly secrets: RegionSecrets
  /** Of the region alone. */
  readonly stores: RegionStores
  files(): Promise<readonly MigrationFile[]>
}

/** Those of the process that has the region's credentials. */
export function regionHands({ secrets, stores, files }: HandsOptions): RegionHands {
  const assertSame = async (version: string) => {
    if (versionOf(await files()) === version) return
    throw new InnkeeperError('conflict', 'The half of the mover has other migrations than the control plane', {
      hint: 'Give every process the same configuration folder.',
    })
  }
  return {
    install: () => stores.install(() => {}),
    async makeRoom(tenant, placement, version) {
      await assertSame(version)
      await stores.makerOf(placement.cluster).makeRoom(tenant, placement)
    },
    async migrate({ cluster, database, schema }, version) {
      await assertSame(version)
      return stores.makerOf(cluster).migrate(database, schema)
    },
    about: async () => regionFacts(secrets),
  }
}
