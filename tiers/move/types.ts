import type { Placement, TenantId } from '../types.ts'
import type { MoveState } from './states.ts'

/** Where a tenant is, as far as a move is concerned. */
export interface Home {
  readonly placement: Placement
  readonly tier: string
  readonly region: string
}

export interface MoveProgress {
  /** The planner's estimate at the beginning. */
  readonly rowsTotal: number
  readonly rows: number
  readonly bytes: number
  /** Of the copy. */
  readonly rowsPerSecond: number
  /** Rows that were hashed at both sides, and how fast. */
  readonly verified: number
  readonly verifiedPerSecond: number
  /** Notes of changes that are not applied yet. */
  readonly lag: number
  /** Catch-up passes. */
  readonly passes: number
  /** The part of the full speed that is held back for the neighbours' sake: 0 to under 1. */
  readonly throttled: number
}

/** One table, hashed on both sides. */
export interface TableProof {
  readonly table: string
  readonly rows: number
  readonly source: string
  readonly target: string
}

/** What is noted on the way, for the certificate: who asked, what was moved, and the proof that it is the same. */
export interface Certificate {
  readonly tables: readonly TableProof[]
  readonly rows: number
  readonly epochs: readonly [number, number]
  readonly askedBy: string
  readonly startedAt: string
  readonly verifiedAt: string
  readonly flippedAt: string
  /** Rows compared again under the fence, at the last flip. */
  readonly comparedUnderFence: number
  /** The proof of a rollback: which side is which is the other way round. */
  readonly wayBack: { readonly tables: readonly TableProof[]; readonly rows: number; readonly verifiedAt: string }
  readonly endedAt: string
  /** What was looked for in the room that was left, and not found. */
  readonly left: { readonly rows: number; readonly notes: number; readonly fence: number } | null
}

export type MoveRequest = 'abort' | 'rollback' | 'complete'

export interface Move {
  readonly id: string
  readonly tenantId: TenantId
  readonly from: Home
  readonly to: Home
  readonly state: MoveState
  readonly generation: number
  readonly request: MoveRequest | null
  /** Who made the last request. */
  readonly requestedBy: string | null
  readonly progress: MoveProgress
  readonly reason: string | null
  /** Attempts at the cut-over. */
  readonly attempts: number
  /** From the first refused request to the flip, in milliseconds, as the mover saw it. */
  readonly pauseMs: number | null
  readonly askedBy: string
  readonly watchUntil: Date | null
  readonly certificate: Partial<Certificate> | null
  readonly createdAt: Date
  readonly updatedAt: Date
  readonly endedAt: Date | null
}

export const NO_PROGRESS: MoveProgress = {
  rowsTotal: 0,
  rows: 0,
  bytes: 0,
  rowsPerSecond: 0,
  verified: 0,
  verifiedPerSecond: 0,
  lag: 0,
  passes: 0,
  throttled: 0,
}
