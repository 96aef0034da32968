import type { SignedDocument } from '../../control/signed-document.ts'
import type { Foreign, Looked } from '../scan/found.ts'

/** Where everything of a tenant's is and was. Times are ISO 8601, UTC; an `until` of null is now. */
export interface ResidencyReport {
  readonly kind: 'innkeeper residency report'
  readonly version: 1
  readonly issuedAt: string
  readonly tenant: {
    readonly id: string
    readonly slug: string
    readonly status: string
    readonly tier: string
    readonly region: string
  }
  readonly keptTo: KeptToText
  /** Databases that hold, or held, rows of the tenant's, in the order in which they came to. */
  readonly rooms: readonly RoomStay[]
  /** The tables of its room now, by the database's own catalogue. */
  readonly tables: readonly string[]
  readonly keys: readonly KeyPlace[]
  readonly caches: readonly CachePlace[]
  readonly backups: readonly BackupPlace[]
  readonly gateways: readonly GatewayStay[]
  readonly moves: readonly MoveLine[]
  /** Who changed what the tenant is kept to, and why: from the audit log. */
  readonly changes: readonly ResidencyChange[]
  /** A look into every database of every cluster, when the report was made. */
  readonly scan: {
    readonly at: string
    readonly looked: readonly Looked[]
    /** Of this tenant, where it does not belong. */
    readonly found: readonly Foreign[]
    /**
     * What the directory knows of no tenant, by itself: a schema or database that is no room, a role that may look into
     * rooms. Nothing in it says whose it is, so it stands in every tenant's report.
     */
    readonly unclaimed: readonly Foreign[]
    /** Tables whose rows were hidden from the look: of them it is not known whether there is something of this tenant's. */
    readonly unread: readonly Foreign[]
  }
  readonly controlPlane: { readonly region: string | null }
  /** The audit log's last entry: anchors it. */
  readonly auditHead: string
  /** What of the above is, or was, outside of what the tenant is kept to. */
  readonly outside: readonly Outside[]
}

export interface KeptToText {
  readonly profile: string | null
  readonly pinned: readonly string[] | null
  /** Null for anywhere. */
  readonly regions: readonly string[] | null
  readonly transit: boolean
  readonly encryption: string | null
  readonly retentionDays: number | null
  /** When it was last changed; null for a tenant that has always been kept to it, or to nothing. */
  readonly since: string | null
}

export interface RoomStay {
  readonly region: string
  readonly cluster: string
  readonly database: string
  readonly schema: string
  readonly isolation: string
  /** `home`: served from here. `copy`: a move was filling it. `left`: a move had left it, and it followed or was being emptied. */
  readonly as: 'home' | 'copy' | 'left'
  readonly from: string
  readonly until: string | null
  /** Why it is known: `reconstructed` is what the directory held when it began to keep a history. */
  readonly known: 'history' | 'reconstructed' | 'move'
}

export interface KeyPlace {
  readonly region: string
  readonly where: string
  readonly what: string
}

export interface CachePlace {
  readonly region: string
  readonly where: string
  readonly holds: string
}

/** As the operator states it in the configuration: Innkeeper makes no backups itself. */
export interface BackupPlace {
  readonly of: string
  readonly region: string
  readonly retentionDays: number
}

/** By the gateway's own word, its region too: all of them log in to the control database as one role. */
export interface GatewayStay {
  readonly gateway: string
  readonly region: string
  readonly host: string
  readonly how: 'home' | 'forwarded'
  readonly from: string
  /** To the hour. */
  readonly until: string
}

export interface MoveLine {
  readonly move: string
  readonly from: string
  readonly to: string
  readonly state: string
  readonly asked: string
  readonly flipped: string | null
  readonly ended: string | null
}

export interface ResidencyChange {
  readonly seq: number
  readonly at: string
  readonly actor: string
  readonly role: string
  readonly reason: string | null
  readonly before: unknown
  readonly after: unknown
}

export interface Outside {
  readonly what: string
  readonly region: string
  readonly from: string | null
  readonly until: string | null
}

/** Unsigned where the configuration names no key. */
export type SignedReport =
  | SignedDocument<ResidencyReport>
  | { readonly document: ResidencyReport; readonly signature: null; readonly keyId: null }
