import { Command } from 'commander'
import { cliOf } from '../cli.ts'
import { EXIT } from '../exit-codes.ts'
import { CliError } from '../failure.ts'
import type { SetExitCode } from '../program.ts'
import { progressBar } from '../progress-bar.ts'

interface Failure {
  readonly cluster: string
  readonly database: string
  readonly schema: string
  readonly code: string
  readonly message: string
  readonly details: string | null
  readonly hint: string | null
}

type Line =
  | { type: 'progress'; done: number; total: number; failed: number; room: string }
  | { type: 'result'; ok: boolean; rooms: number; migrated: number; completedMoves?: string[]; failures: Failure[] }
  | { type: 'error'; code: string; message: string; details: string | null; hint: string | null }

export function migrateCommand(setExitCode: SetExitCode): Command {
  return new Command('migrate')
    .description('bring every room of every cluster to the newest migration')
    .option('--complete-moves', 'complete moves that are only watched first; they cannot be rolled back then')
    .option('--reason <text>', 'why, for the log')
    .action(async ({ reason, completeMoves }, command: Command) => {
      const { terminal, admin } = cliOf(command)
      const bar = progressBar(terminal)
      const lines = (await admin()).lines<Line>('POST', '/migrations', { reason, body: { completeMoves } })
      for await (const line of lines) {
        if (line.type === 'progress') {
          bar.show(line.done, line.total, line.room)
          continue
        }
        bar.end()
        if (line.type === 'error') {
          const { code, message, details, hint } = line
          throw new CliError(message, { code, details: details ?? undefined, hint: hint ?? undefined })
        }
        const { type: _, ...result } = line
        setExitCode(result.ok ? EXIT.ok : EXIT.failed)
        if (terminal.json) return terminal.data(result)
        for (const f of result.failures) {
          terminal.err(`${terminal.paint('red', 'failed')} ${f.cluster}/${f.database}/${f.schema}: ${f.message}`)
          if (f.details) terminal.err(`  ${f.details}`)
          if (f.hint) terminal.err(`  ${terminal.paint('cyan', 'hint:')} ${f.hint}`)
        }
        for (const id of result.completedMoves ?? []) terminal.note(`move ${id} was completed first`)
        return terminal.out(
          `${result.rooms} rooms: ${result.migrated} migrated, ${result.failures.length} failed, the rest were up to date`,
        )
      }
      throw new CliError('the control plane went away before it was done', {
        code: 'directory_unavailable',
        hint: 'Run it again: rooms that are done are passed over.',
      })
    })
}
