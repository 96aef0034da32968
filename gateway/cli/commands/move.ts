import { Command } from 'commander'
import type { MoveView, PlanView } from '../../admin/moves.ts'
import { type AdminClient, segment } from '../admin-client.ts'
import { type Cli, cliOf } from '../cli.ts'
import { EXIT } from '../exit-codes.ts'
import { count } from '../options.ts'
import { allPages } from '../pages.ts'
import type { SetExitCode } from '../program.ts'
import { progressBar } from '../progress-bar.ts'
import { pairs, table } from '../table.ts'
import { certificateCommand } from './certificate.ts'

/** `innkeeper tenants move`: to another tier, region or cluster, while the tenant is being used. */
export function addMoveCommand(tenants: Command, setExitCode: SetExitCode): void {
  tenants
    .command('move')
    .description('move it to another tier, region or cluster while it is being used')
    .argument('<slug>')
    .option('--tier <name>')
    .option('--region <name>')
    .option('--cluster <name>')
    .option('--dry-run', 'say what would be moved, and everything that would stop it')
    .option('--watch', 'follow it until the tenant is at its new home')
    .option('--reason <text>', 'why, for the log')
    .action(async (slug: string, { tier, region, cluster, dryRun, watch, reason }, command: Command) => {
      const cli = cliOf(command)
      const admin = await cli.admin()
      const path = `/tenants/${segment(slug)}/moves`
      const body = { tier, region, cluster, reason }
      if (dryRun) {
        const plan = await admin.call<PlanView>('POST', path, { body: { ...body, dryRun: true } })
        setExitCode(plan.refusals.length === 0 ? EXIT.ok : EXIT.failed)
        return showPlan(cli, plan)
      }
      const move = await admin.call<MoveView>('POST', path, { body })
      const last = watch ? await follow(cli, admin, move) : move
      setExitCode(last.state === 'aborted' ? EXIT.failed : EXIT.ok)
      show(cli, last)
    })
}

/** `innkeeper moves`: what they are doing, and what an operator may want of them. */
export function movesCommand(setExitCode: SetExitCode): Command {
  const moves = new Command('moves').description('moves of tenants between rooms')

  moves
    .command('list')
    .description('the newest first')
    .option('--tenant <slug>')
    .option('--open', 'only those that have not ended')
    .option('--limit <number>', 'show this many at the most', count, 100)
    .action(async ({ tenant, open, limit }, command: Command) => {
      const { terminal, admin } = cliOf(command)
      const query = { tenant, open: open && 'true' }
      const found = await allPages<MoveView>(await admin(), terminal, { path: '/moves', name: 'moves', query, limit })
      if (terminal.json) return terminal.data(found)
      if (found.length === 0) return terminal.note('There are no such moves.')
      const rows = found.map((m) => [m.id, m.state, placeOf(m.from), placeOf(m.to), pause(m), m.reason])
      terminal.out(table(terminal, ['move', 'state', 'from', 'to', 'pause', 'reason'], rows))
    })

  moves
    .command('show')
    .argument('<id>')
    .option('--watch', 'follow it')
    .action(async (id: string, { watch }, command: Command) => {
      const cli = cliOf(command)
      const admin = await cli.admin()
      const move = await admin.call<MoveView>('GET', `/moves/${segment(id)}`)
      show(cli, watch ? await follow(cli, admin, move) : move)
    })

  moves.addCommand(certificateCommand(setExitCode))

  const actions = {
    abort: 'end it: the tenant stays where it is',
    rollback: 'bring the tenant back where it came from, with all that was written since',
    complete: 'remove the room that it left; there is no way back then',
  } as const
  for (const [action, description] of Object.entries(actions)) {
    moves
      .command(action)
      .description(description)
      .argument('<id>')
      .option('--watch', 'follow it to its end')
      .option('--reason <text>', 'why, for the log')
      .action(async (id: string, { watch, reason }, command: Command) => {
        const cli = cliOf(command)
        const admin = await cli.admin()
        const move = await admin.call<MoveView>('POST', `/moves/${segment(id)}/${action}`, { reason })
        const last = watch ? await follow(cli, admin, move, true) : move
        setExitCode(EXIT.ok)
        show(cli, last)
      })
  }
  return moves
}

const SETTLED = new Set(['watching', 'completed', 'aborted', 'rolled_back'])
const FOLLOW_MS = 300

/** Draws a bar until the tenant has a home again that is not about to change. */
async function follow({ terminal }: Cli, admin: AdminClient, first: MoveView, toTheEnd = false): Promise<MoveView> {
  const bar = progressBar(terminal)
  try {
    for (let move = first; ; ) {
      const { rowsTotal, lag, etaS } = move.progress
      const [rows, rowsPerSecond] =
        move.state === 'verifying'
          ? [move.progress.verified, move.progress.verifiedPerSecond]
          : [move.progress.rows, move.progress.rowsPerSecond]
      const slow = throttled(move) ? `, ${throttled(move)}` : ''
      const eta = etaS === null ? '' : `, ${etaS} s left`
      bar.show(
        Math.min(rows, rowsTotal),
        rowsTotal,
        move.state === 'planned' && move.reason !== null
          ? move.reason
          : `${move.state} ${rowsPerSecond} rows/s, ${lag} behind${slow}${eta}`,
      )
      if (move.endedAt !== null || (!toTheEnd && SETTLED.has(move.state))) return move
      await new Promise((resolve) => setTimeout(resolve, FOLLOW_MS))
      move = await admin.call<MoveView>('GET', `/moves/${segment(move.id)}`)
    }
  } finally {
    bar.end()
  }
}

const placeOf = ({ tier, region, placement }: MoveView['from']) =>
  `${tier} (${placement.isolation}) ${region}/${placement.cluster}`
/** Less than a twentieth is not worth a word. */
const throttled = ({ progress }: MoveView) =>
  progress.throttled >= 0.05 ? `throttled ${Math.round(progress.throttled * 100)} %` : null
const pause = (m: MoveView) => (m.pauseMs === null ? null : `${Math.round(m.pauseMs)} ms`)

function show({ terminal }: Cli, move: MoveView): void {
  if (terminal.json) {
    terminal.data(move)
    return
  }
  const { id, state, from, to, progress, attempts, reason, askedBy, request, requestedBy, createdAt, watchUntil } = move
  terminal.out(
    pairs(terminal, {
      move: id,
      state,
      from: placeOf(from),
      to: placeOf(to),
      rows: `${progress.rows} of about ${progress.rowsTotal}`,
      behind: `${progress.lag} changes`,
      speed: throttled(move),
      pause: pause(move),
      attempts,
      reason,
      'asked by': askedBy,
      'last request': requestedBy === null ? null : `${request ?? 'done'}, by ${requestedBy}`,
      begun: createdAt,
      'watched until': watchUntil,
    }),
  )
}

function showPlan({ terminal }: Cli, plan: PlanView): void {
  if (terminal.json) {
    terminal.data(plan)
    return
  }
  terminal.out(`${placeOf(plan.from)} -> ${placeOf(plan.to)}`)
  if (plan.kind === 'limits') terminal.out('The same model and place: only limits change, at once.')
  else showRows(terminal, plan)
  for (const { object, fault, fix } of plan.refusals)
    terminal.err(`${terminal.paint('red', 'stops it')} ${object}: ${fault}. ${fix}`)
}

function showRows(terminal: Cli['terminal'], plan: PlanView): void {
  terminal.out(
    table(
      terminal,
      ['table', 'rows', 'bytes'],
      plan.tables.map((t) => [t.name, t.rows, t.bytes]),
    ),
  )
  terminal.out(`${plan.rows} rows, about ${plan.bytes} bytes, about ${plan.etaS} s`)
  for (const note of plan.notes) terminal.out(note)
  if (!plan.wayBack) terminal.out('Residency forbids the old home: there is no rollback, only another move.')
}
