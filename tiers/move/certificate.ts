import { canonicalJson, type SignedDocument, type SigningKey, sign, signingKey } from '../control/signed-document.ts'
import type { Placement } from '../types.ts'
import type { MoveContext } from './context.ts'
import type { Look } from './scan.ts'
import type { Home, TableProof } from './types.ts'

/** What a tenant's officer is given: what was moved, that it was the same on both sides, and that nothing stayed behind. */
export interface MoveCertificate {
  readonly kind: 'innkeeper move certificate'
  readonly version: 1
  readonly move: string
  readonly tenant: { readonly id: string; readonly slug: string }
  /** `rolled_back`: the tenant is where it came from, and what was emptied is the room between. */
  readonly outcome: 'completed' | 'rolled_back'
  /** With the epochs that were served before and after. */
  readonly from: Home
  readonly to: Home
  readonly askedBy: string
  readonly endedBy: string
  readonly times: {
    readonly asked: string
    readonly verified: string | null
    readonly flipped: string | null
    readonly emptied: string
    readonly scanned: string
  }
  /** For how long requests waited at the cut-over, as the mover saw it. */
  readonly pauseMs: number | null
  readonly attempts: number
  readonly rows: number
  /** Counts and hashes of every table on both sides, under one snapshot. */
  readonly tables: readonly TableProof[]
  /** Rows that changed just before the source was fenced, compared while it was; null where a cut-over went before. */
  readonly comparedUnderFence: number | null
  readonly emptied: Placement
  /** After the emptying, each place by name. */
  readonly scan: readonly Look[]
}

/** Unsigned where the configuration names no key. */
export type StoredCertificate =
  | SignedDocument<MoveCertificate>
  | { readonly document: MoveCertificate; readonly signature: null; readonly keyId: null }

export interface Ending {
  readonly outcome: MoveCertificate['outcome']
  readonly emptied: Placement
  readonly emptiedAt: Date
  readonly scan: readonly Look[]
}

export async function certificateOf(ctx: MoveContext, ending: Ending): Promise<MoveCertificate> {
  const { move, sql } = ctx
  const [tenant] = await sql<{ slug: string }[]>`select slug from tenants where id = ${move.tenantId}`
  const notes = move.certificate ?? {}
  const proof = ending.outcome === 'rolled_back' ? (notes.wayBack ?? notes) : notes
  return {
    kind: 'innkeeper move certificate',
    version: 1,
    move: move.id,
    tenant: { id: move.tenantId, slug: tenant!.slug },
    outcome: ending.outcome,
    from: move.from,
    to: move.to,
    askedBy: move.askedBy,
    endedBy: move.requestedBy ?? 'the end of its watch',
    times: {
      asked: move.createdAt.toISOString(),
      verified: proof.verifiedAt ?? null,
      flipped: notes.flippedAt === undefined ? null : new Date(notes.flippedAt).toISOString(),
      emptied: ending.emptiedAt.toISOString(),
      scanned: new Date().toISOString(),
    },
    pauseMs: move.pauseMs,
    attempts: move.attempts,
    rows: proof.rows ?? 0,
    tables: proof.tables ?? [],
    comparedUnderFence: notes.comparedUnderFence ?? null,
    emptied: ending.emptied,
    scan: ending.scan,
  }
}

/** A region's half of the mover has no key to sign with: what it leaves unsigned is signed by whoever has one. */
export function signedIfUnsigned(stored: StoredCertificate, secret: Buffer | null): StoredCertificate {
  return stored.signature !== null || secret === null ? stored : sign(stored.document, signingKey(secret))
}

/** As it is stored: the text that is signed, with its signature. */
export function certificateText(document: MoveCertificate, key: SigningKey | null): string {
  return canonicalJson(key === null ? { document, signature: null, keyId: null } : sign(document, key))
}
