import { Hono } from 'hono'
import { stream, streamSSE } from 'hono/streaming'
import type { By } from '../../tiers/audit/entry.ts'
import type { ControlPlane } from '../../tiers/control/control-plane.ts'
import type { MigrationProgress } from '../../tiers/control/fleet.ts'
import { InnkeeperError, isInnkeeperError } from '../../tiers/errors.ts'
import { problemHeaders, problemOf } from '../edge/problem.ts'
import { byOf, logChange } from './changes.ts'
import type { AdminContext, AdminDeps, AdminEnv } from './env.ts'
import { bodyOf } from './input.ts'
import { migrationRun } from './shapes.ts'

type Done = Awaited<ReturnType<ControlPlane['migrate']>>
type Report = (progress: MigrationProgress) => void

/**
 * `POST /admin/v1/migrations` brings every room up to date. It answers when all is done, or bit by bit to whoever accepts
 * `application/x-ndjson` or `text/event-stream`: `progress` again and again, then one `result`. One run at a time.
 */
export function migrationsApi({ control, log }: AdminDeps) {
  const app = new Hono<AdminEnv>()
  let isRunning = false

  /** Goes on when the client goes away: half of the rooms on a new version is worse than an unread answer. */
  async function run(report: Report, by: By, completeBy: string | null) {
    try {
      const migrate = async () => resultOf(await control.migrate(report, { completeBy }))
      return await control.audit.around(
        { action: 'migrate', by },
        migrate,
        ({ ok, rooms, migrated, completedMoves }) => ({
          ok,
          rooms,
          migrated,
          ...(completedMoves === undefined ? {} : { completedMoves }),
        }),
      )
    } finally {
      isRunning = false
    }
  }

  app.post('/', async (c) => {
    const { reason, completeMoves } = await bodyOf(c, migrationRun)
    if (isRunning) {
      throw new InnkeeperError('conflict', 'A migration is running', { hint: 'Wait for it to end, then try again.' })
    }
    const by = byOf(c, reason)
    isRunning = true
    logChange(log, c, { action: 'migrate', reason, details: { completeMoves } })
    const work = (report: Report) => run(report, by, completeMoves ? c.get('actor') : null)
    const accept = c.req.header('accept') ?? ''
    if (accept.includes('application/x-ndjson')) return asLines(c, work)
    if (accept.includes('text/event-stream')) return asEvents(c, work)
    const result = await work(() => {})
    return result.ok ? c.json(result) : refused(c, result)
  })

  return app
}

/** Why a room failed, for those who can do something about it. */
function resultOf({ rooms, migrated, failures, completedMoves }: Done) {
  return {
    ok: failures.length === 0,
    rooms,
    migrated,
    completedMoves: completedMoves.length === 0 ? undefined : completedMoves,
    failures: failures.map(({ error, ...room }) => ({ ...room, ...reasonOf(error) })),
  }
}

type Result = ReturnType<typeof resultOf>

function reasonOf(error: Error) {
  if (!isInnkeeperError(error)) return { code: 'failed', message: error.message, details: null, hint: null }
  const { code, message, details = null, hint = null } = error
  return { code, message, details, hint }
}

function refused(c: AdminContext, result: Result) {
  const first = result.failures[0]!
  const error = new InnkeeperError('migration_refused', `${result.failures.length} of ${result.rooms} rooms failed`, {
    details: `${first.cluster}/${first.database}/${first.schema}: ${first.message}${first.details === null ? '' : `: ${first.details}`}`,
    hint: first.hint ?? 'Correct the migration and run it again: rooms that are done are passed over.',
  })
  return c.body(JSON.stringify({ ...problemOf(error, c.get('requestId')), result }), 422, problemHeaders(error))
}

function asLines(c: AdminContext, run: (report: Report) => Promise<Result>) {
  c.header('content-type', 'application/x-ndjson')
  return stream(c, async (out) => {
    const write = (line: object) => out.write(`${JSON.stringify(line)}\n`)
    await follow(run, write)
  })
}

function asEvents(c: AdminContext, run: (report: Report) => Promise<Result>) {
  return streamSSE(c, async (out) => {
    await follow(run, ({ type, ...data }) => out.writeSSE({ event: type, data: JSON.stringify(data) }))
  })
}

/** The status is sent before the end is known, so a failure of the run as a whole is the last thing said. */
async function follow(
  run: (report: Report) => Promise<Result>,
  write: (line: { type: 'progress' | 'result' | 'error' } & object) => Promise<unknown>,
) {
  const sent: Promise<unknown>[] = []
  try {
    const result = await run((progress) => sent.push(write({ type: 'progress', ...progress })))
    await Promise.all(sent)
    await write({ type: 'result', ...result })
  } catch (error) {
    await write({ type: 'error', ...reasonOf(error as Error) })
  }
}
