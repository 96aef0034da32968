import { EventEmitter } from 'node:events'
import type postgres from 'postgres'
import type { ClusterConfig, Config } from '../../config/index.ts'
import { type AuditEntry, append, type By, byNamed } from '../audit/entry.ts'
import { redisServerOf } from '../cache/redis-server.ts'
import { assertCurrentClusters } from '../control/epochs.ts'
import { signingKey } from '../control/signed-document.ts'
import type { TenantRecord, TenantStore } from '../control/tenant-store.ts'
import { InnkeeperError } from '../errors.ts'
import type { OtherRegions } from '../half/other-regions.ts'
import type { KeyAdmin } from '../keys/admin.ts'
import type { MigrationFile } from '../migrate/files.ts'
import { openLink } from '../pg/link.ts'
import { assertResidency } from '../residency/faults.ts'
import type { RoomMaker } from '../rooms/maker.ts'
import type { TenantId } from '../types.ts'
import { type StoredCertificate, signedIfUnsigned } from './certificate.ts'
import { MOVE_SETTINGS, type MoveHook, type MoveSettings } from './context.ts'
import { followMoves } from './follow.ts'
import { createGauges, openGauge } from './gauge.ts'
import type { Destination, MovePlan } from './plan.ts'
import { createPlanner, isWatched } from './planner.ts'
import { assertNothingRefused } from './preflight.ts'
import { openProbe } from './probe.ts'
import { regionCache } from './region-cache.ts'
import { isAnswered, statesFor } from './requests.ts'
import { type MoveRunner, startRunner } from './runner.ts'
import type { MoveState } from './states.ts'
import { type MoveFilter, type MoveStore, moveStore } from './store.ts'
import type { Move, MoveRequest } from './types.ts'
import { createVigil } from './vigil.ts'
import { withoutMoves } from './without-moves.ts'

export interface StartMove extends Destination {
  readonly tenant: string
  readonly by: string
  /** Who that is, for the audit log; a program of that name where left out. */
  readonly operator?: By | undefined
}

/** Moves of tenants, for the control plane. Whoever has `run` called works on all of them, several at a time. */
export interface Moves {
  /** What a move would do, and everything that would stop it. Changes nothing. */
  plan(wanted: Omit<StartMove, 'by' | 'operator'>): Promise<MovePlan>
  /**
   * Begins a move; it goes on in the background. A tier within the same model and place is a matter of limits and done at
   * once. A tenant that is still watched after an earlier move has that one completed first.
   *
   * @throws InnkeeperError `conflict` naming everything that stops it, `invalid_request`, `tenant_not_found`
   */
  start(wanted: StartMove): Promise<Move>
  /** @throws InnkeeperError `not_found` */
  get(id: string): Promise<Move>
  list(filter?: Partial<MoveFilter>): Promise<Move[]>
  /**
   * Before the flip only. As with the two below: who asks for what is done already, or being done, is told so.
   * @param by who asks @throws InnkeeperError `conflict` after it
   */
  abort(id: string, by?: By | string): Promise<Move>
  /** After the flip, while it is watched. @throws InnkeeperError `conflict` otherwise */
  rollback(id: string, by?: By | string): Promise<Move>
  complete(id: string, by?: By | string): Promise<Move>
  /** Of a move that has emptied a room. @throws InnkeeperError `conflict` where it has not, `not_found` */
  certificate(id: string): Promise<StoredCertificate>
  /** The move as it is, then at every change, until it has ended. */
  events(id: string, signal?: AbortSignal): AsyncGenerator<Move>
  /** Waits until the move is in one of the states, or has ended. */
  reached(id: string, ...states: MoveState[]): Promise<Move>
  /** @throws InnkeeperError `conflict` where the tenant has a move that has not ended */
  assertNone(tenant: TenantId): Promise<void>
  /**
   * Runs a change of every room while no move can begin: both sides of a move must have the same tables.
   *
   * @param completeBy who has moves completed first that are only watched; their tenants cannot be rolled back then. Null
   *   where those stop the work like all others
   * @throws InnkeeperError `conflict` naming the tenants that are being moved, or watched after a move
   */
  without<T>(completeBy: string | null, work: (completed: readonly string[]) => Promise<T>): Promise<T>
  /** Works on moves from now on, until closed. */
  run(hook?: MoveHook): MoveRunner
  close(): Promise<void>
}

export interface MovesOptions {
  readonly config: Config
  readonly tenants: TenantStore
  readonly settings?: Partial<MoveSettings>
  tenant(slugOrId: string): Promise<TenantRecord>
  makerOf(cluster: string): RoomMaker
  keysOf(region: string): KeyAdmin
  migration(): Promise<{ readonly files: readonly MigrationFile[]; readonly references: readonly string[] }>
  /** Regions that this process reaches through their halves of the mover; none where left out. */
  readonly others?: OtherRegions | undefined
  /** The control database does not answer. */
  onControlSilent?(): void
  onError?(error: Error, move: Move | null): void
}

const AT_ONCE = 8
const POLL_MS = 500
/** How long a new move waits for the one before to have left nothing. */
const COMPLETE_MS = 60_000
/** Of what gateways wait for a tenant that is being moved, what one attempt may take. */
const PART_OF_WAIT = 0.8
const MEASURE_MS = 25

export function createMoves(options: MovesOptions): Moves {
  const { config, tenants, makerOf } = options
  // A client of its own: another layer's changes to how values are written and read are not for this one, and a heartbeat
  // does not wait for a connection behind other work.
  const server = { url: config.controlUrl, ...config.controlTls }
  const linkOf = (max: number) => openLink(server, { applicationName: 'innkeeper-moves', max, isWatching: true })
  const [link, flips, turns] = [linkOf(6), linkOf(1), linkOf(2)]
  const { sql } = link
  const deadlineMaxMs = Math.round(config.pools.movingWaitMs * PART_OF_WAIT)
  const settings = { ...MOVE_SETTINGS, deadlineMaxMs, ...options.settings }
  const store = moveStore(sql)
  const changes = new EventEmitter().setMaxListeners(0)
  const runners = new Set<MoveRunner>()
  const clusterOf = (name: string, move: string | null = null) =>
    options.others?.clusterOf(name, move) ?? clusterNamed(config, name)
  const cacheOf = (region: string, move: string) =>
    options.others?.cacheOf(region, move) ?? regionCache(redisServerOf(config, region))
  const clusters = [...config.regions.values()].flatMap((r) => [...r.clusters.values()])
  const placesMax = Object.fromEntries(clusters.map((c) => [c.name, c.movesMax]))
  const limits = config.moves.throttle
  const gauges =
    limits === 'off'
      ? null
      : createGauges((cluster) => openGauge({ probe: openProbe(clusterOf(cluster)), limits, everyMs: MEASURE_MS }))
  const vigil = createVigil({ clusterOf, silentMs: settings.silentMs })
  const wake = () => {
    for (const runner of runners) runner.wake()
  }

  const planner = createPlanner({ ...options, sql, store, clusterOf })
  const { survey, inspect, forbids } = planner
  const mayReturn = async (move: Move) => forbids(await options.tenant(move.tenantId), move.from).length === 0

  const get = async (id: string) => {
    const found = UUID.test(id) ? await store.get(id) : null
    if (found !== null) return found
    throw new InnkeeperError('not_found', `There is no move "${id}"`)
  }
  const ask = async (id: string, request: MoveRequest, asker: By | string | undefined): Promise<Move> => {
    for (;;) {
      const move = await get(id)
      if (isAnswered(move, request)) return move
      const tenant = await options.tenant(move.tenantId)
      const by = byNamed(asker)
      const name = asker === undefined ? null : by.actor
      const asked = await recorded(sql, (inTurn) => inTurn.request(id, request, name, statesFor(request)), {
        action: `move.${request}`,
        by,
        tenant,
        details: { move: id, state: move.state },
      })
      wake()
      if (asked !== null) return asked
      // It went on meanwhile: whether there is still something to ask for depends on where to.
    }
  }
  const { events, reached } = followMoves(get, changes)

  const completeFirst = async (before: Move, by: By | string) => {
    if (before.state === 'watching') await ask(before.id, 'complete', by)
    for await (const { endedAt } of events(before.id, AbortSignal.timeout(COMPLETE_MS))) if (endedAt !== null) return
    throw new InnkeeperError('conflict', 'The move before this one is still being completed', {
      details: `move ${before.id}`,
      hint: 'Look at it with `innkeeper moves show`, and try again when it has ended.',
    })
  }

  return {
    plan: planner.plan,
    async start(wanted) {
      const { id } = await options.tenant(wanted.tenant)
      // Before anything is done for it: an earlier move is not completed for the sake of one that is refused.
      const asked = await survey(wanted)
      assertResidency(asked.tenant, 'The move', forbids(asked.tenant, asked.to))
      const [before] = await store.list({ tenantId: id, open: true, limit: 1 })
      if (before !== undefined && isWatched(before) && asked.kind === 'room') {
        assertNothingRefused((await inspect(asked.tenant, asked.from, asked.to, before)).refusals)
        await completeFirst(before, wanted.operator ?? wanted.by)
      }
      return tenants.exclusively(id, async () => {
        const { tenant, from, to, kind } = await survey(wanted, true)
        assertResidency(tenant, 'The move', forbids(tenant, to))
        await assertCurrentClusters(
          sql,
          [from, to].map((h) => makerOf(h.placement.cluster)),
        )
        if (kind === 'limits') {
          await tenants.setTier(id, to.tier, { action: 'tenant.tier', by: byNamed(wanted.operator ?? wanted.by) })
          return store.insert({ tenantId: id, from, to, askedBy: wanted.by, state: 'completed' })
        }
        const { refusals, tables } = await inspect(tenant, from, to)
        assertNothingRefused(refusals)
        const rowsTotal = tables.reduce((sum, t) => sum + t.rows, 0)
        const begun = { tenantId: id, from, to, askedBy: wanted.by, rowsTotal }
        const move = await recorded(sql, (inTurn) => inTurn.begin(begun), {
          action: 'tenant.move',
          by: byNamed(wanted.operator ?? wanted.by),
          tenant,
          before: from,
          after: to,
        })
        wake()
        return move
      })
    },
    get,
    list: ({ limit = 100, ...filter } = {}) => store.list({ ...filter, limit }),
    abort: (id, by) => ask(id, 'abort', by),
    async rollback(id, by) {
      const move = await get(id)
      const tenant = await options.tenant(move.tenantId)
      assertResidency(tenant, 'A rollback', forbids(tenant, move.from))
      return ask(id, 'rollback', by)
    },
    complete: (id, by) => ask(id, 'complete', by),
    async certificate(id) {
      const { state, endedAt } = await get(id)
      const text = await store.signedCertificate(id)
      if (text !== null) return signedIfUnsigned(JSON.parse(text) as StoredCertificate, config.signingKey)
      throw new InnkeeperError('conflict', `The move is ${state} and has no certificate`, {
        hint:
          endedAt === null
            ? 'One is made when the room that the tenant left is empty: complete the move, or roll it back.'
            : 'Only a move that has emptied a room has one; an aborted move or a change of limits has left none.',
      })
    },
    events,
    reached,
    async assertNone(tenant) {
      const [open] = await store.list({ tenantId: tenant, open: true, limit: 1 })
      if (open === undefined) return
      throw new InnkeeperError('conflict', `The tenant is being moved: ${open.state}`, {
        details: `move ${open.id}`,
        hint: 'Complete the move, or abort it, first.',
      })
    },
    without: (completeBy, work) =>
      withoutMoves(turns.sql, store, { completeBy, complete: (id, by) => ask(id, 'complete', by) }, work),
    run(hook) {
      const runner = startRunner({
        sql,
        flips: flips.sql,
        store,
        settings,
        makerOf,
        keysOf: options.keysOf,
        cacheOf,
        signingKey: config.signingKey === null ? null : signingKey(config.signingKey),
        clusterOf,
        mayReturn,
        gauges,
        vigil,
        hook,
        atOnce: AT_ONCE,
        placesMax,
        regions: regionsMovedTo(config),
        pollMs: POLL_MS,
        onChange: (move) => changes.emit(move.id),
        onControlSilent() {
          link.renew()
          flips.renew()
          options.onControlSilent?.()
        },
        onError: options.onError ?? (() => {}),
      })
      runners.add(runner)
      return {
        ...runner,
        async close() {
          runners.delete(runner)
          await runner.close()
        },
      }
    },
    async close() {
      await Promise.all([...runners].map((r) => r.close()))
      runners.clear()
      await Promise.all([link, flips, turns].map((l) => l.close(5)))
    },
  }
}

const UUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/

/** Changes the moves' table and writes what the audit log says of it, in one transaction. */
async function recorded<T extends Move | null>(
  sql: postgres.Sql,
  change: (store: MoveStore) => Promise<T>,
  entry: AuditEntry,
): Promise<T> {
  const result = await sql.begin(async (tx) => {
    const changed = await change(moveStore(tx as unknown as postgres.Sql))
    if (changed === null) return null
    await append(tx, { ...entry, details: entry.details ?? { move: changed.id } })
    return changed
  })
  return result as T
}

/** A region's half of the mover brings tenants to its region, and the control plane to regions that have none. */
function regionsMovedTo({ role, regions }: Config): readonly string[] | null {
  if (role.kind === 'mover') return [role.region]
  const without = [...regions.values()].filter((r) => r.mover === null).map((r) => r.name)
  return without.length === regions.size ? null : without
}

function clusterNamed(config: Config, name: string): ClusterConfig {
  for (const region of config.regions.values()) {
    const cluster = region.secrets?.clusters.get(name)
    if (cluster !== undefined) return cluster
  }
  throw new InnkeeperError('invalid_config', `The configuration has no cluster "${name}"`)
}
