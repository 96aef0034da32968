import type postgres from 'postgres'
import type { SigningKey } from '../control/signed-document.ts'
import type { KeyAdmin } from '../keys/admin.ts'
import type { RoomMaker } from '../rooms/maker.ts'
import type { RoomSequence, RoomTable } from './catalogue.ts'
import type { Pacer } from './pacer.ts'
import type { RegionCache } from './region-cache.ts'
import type { Side } from './side.ts'
import type { MoveEvent } from './states.ts'
import type { Lease, MovePatch, MoveStore } from './store.ts'
import type { Move, MoveProgress, MoveRequest } from './types.ts'

/** How long things may take, and how often they are tried. Times in milliseconds. */
export interface MoveSettings {
  readonly leaseMs: number
  /** After how long without an answer a server counts as out of reach, and what waits for it is given up. */
  readonly silentMs: number
  /** How long the tenant's running transactions are waited for, while new ones are parked. */
  readonly drainMs: number
  /** Between saying where the tenant is about to live and the fence: gateways make their connections meanwhile. */
  readonly headingMs: number
  /** After the flip, while the requests that waited are served: nothing else is taken from the servers meanwhile. */
  readonly calmMs: number
  /** From the first parked request to the flip, where both ends are near. */
  readonly deadlineMs: number
  /** However far they are: less than gateways wait. */
  readonly deadlineMaxMs: number
  readonly attemptsMax: number
  /** Between attempts. */
  readonly retryMs: number
  /** Notes that are few enough for the cut-over. */
  readonly lagMax: number
  /** Rows that are few enough to be compared during the pause. */
  readonly dirtyMax: number
  readonly passesMax: number
  readonly watchMs: number
  /** Between passes of the reverse stream. */
  readonly watchPassMs: number
  /** How long a room that was left stays as it is, shut, so that gateways that hear of the move late are only sent on. */
  readonly quarantineMs: number
  /** How much work a move does before it asks how the neighbours feel: what takes less time is over before the answer. */
  readonly unpacedMs: number
  /** Of a copy: short enough for a snapshot that holds nobody's vacuum back, and for a restart. */
  readonly chunkBytes: number
  /** Of a copy, in rows per second; null for as fast as it goes. */
  readonly rowsPerSecondMax: number | null
}

export const MOVE_SETTINGS: MoveSettings = {
  leaseMs: 4_000,
  silentMs: 5_000,
  drainMs: 250,
  headingMs: 400,
  calmMs: 500,
  deadlineMs: 500,
  deadlineMaxMs: 8_000,
  attemptsMax: 60,
  retryMs: 300,
  lagMax: 500,
  dirtyMax: 5_000,
  passesMax: 200,
  watchMs: 24 * 3_600_000,
  watchPassMs: 1_000,
  quarantineMs: 3_000,
  unpacedMs: 200,
  chunkBytes: 8 * 1024 * 1024,
  rowsPerSecondMax: null,
}

/** A place in a move, for tests that kill or disturb it there. */
export type MoveHook = (point: string, ctx: MoveContext) => Promise<void> | void

/** What a state's work is given: one move, under one lease. */
export interface MoveContext {
  readonly move: Move
  readonly lease: Lease
  readonly settings: MoveSettings
  /** Of the control database. */
  readonly sql: postgres.Sql
  /** Of one connection: for flips. */
  readonly flips: postgres.Sql
  readonly store: MoveStore
  /** Where the tenant was when the move was asked for. */
  readonly source: Side
  readonly target: Side
  makerOf(cluster: string): RoomMaker
  /** The API keys' store of a region. */
  keysOf(region: string): KeyAdmin
  /** False where the tenant's residency forbids the old home. */
  mayReturn(): Promise<boolean>
  /** What gateways of a region share about the tenant. */
  cacheOf(region: string): RegionCache
  /** Null where the configuration names none: certificates are unsigned then. */
  readonly signingKey: SigningKey | null
  tables(): Promise<readonly RoomTable[]>
  sequences(): Promise<readonly RoomSequence[]>
  progress(change: Partial<MoveProgress>): void
  /** What is work for the servers, and can be divided, is done through it. */
  readonly pacer: Pacer
  /** What an operator asked for, as of the last heartbeat. */
  asked(): MoveRequest | null
  /** Aborts when the lease is lost or the process closes. */
  readonly signal: AbortSignal
  hook(point: string): Promise<void>
}

export interface Outcome {
  /** `again`: the same state once more, after the wait. */
  readonly event: MoveEvent | 'again'
  readonly patch?: MovePatch
  /** The transition was made together with the directory. */
  readonly flipped?: boolean
  /** Something that was sent may still be done: what comes next has to shut it out first. */
  readonly inDoubt?: boolean
  /** To wait before the next state's work, in milliseconds. */
  readonly waitMs?: number
}

export type Step = (ctx: MoveContext) => Promise<Outcome>

/** The two ends in the direction in which rows flow. */
export interface Flow {
  readonly source: Side
  readonly target: Side
}
