import { Command } from 'commander'
import { cliOf } from '../cli.ts'
import { runShell } from '../shell/repl.ts'
import { runStatement } from '../shell/statement.ts'

export function shellCommand(): Command {
  return new Command('shell')
    .description("SQL in a tenant's room, with the tenant's rights; every statement is logged")
    .argument('<slug>')
    .option('-c, --command <sql>', 'run one statement and end')
    .option('--reason <text>', 'why, for the log')
    .action(async (slug: string, { command: sql, reason }, command: Command) => {
      const { terminal, admin } = cliOf(command)
      const door = { admin: await admin(), slug, reason, terminal }
      if (sql !== undefined) return runStatement(door, sql)
      await runShell(door, process.stdin, process.stdout)
    })
}
