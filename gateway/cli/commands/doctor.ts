import { Command } from 'commander'
import type { CheckStatus } from '../../admin/doctor/check.ts'
import type { Diagnosis } from '../../admin/doctor/doctor.ts'
import { cliOf } from '../cli.ts'
import { EXIT } from '../exit-codes.ts'
import type { SetExitCode } from '../program.ts'

const COLOURS = { ok: 'green', warn: 'yellow', fail: 'red' } as const satisfies Record<CheckStatus, string>

export function doctorCommand(setExitCode: SetExitCode): Command {
  return new Command('doctor')
    .description('look at databases, roles, rooms, fences and keys, and say what to do')
    .option('--residency', 'also look through every cluster for what is of tenants that do not belong there')
    .action(async ({ residency = false }, command: Command) => {
      const { terminal, admin } = cliOf(command)
      const diagnosis = await (await admin()).call<Diagnosis>('GET', residency ? '/doctor?residency=true' : '/doctor')
      setExitCode(diagnosis.status === 'fail' ? EXIT.failed : EXIT.ok)
      if (terminal.json) return terminal.data(diagnosis)
      const longest = Math.max(...diagnosis.checks.map((c) => c.name.length))
      for (const { name, status, message, fix } of diagnosis.checks) {
        terminal.out(`${terminal.paint(COLOURS[status], status.padEnd(4))}  ${name.padEnd(longest)}  ${message}`)
        if (fix !== null) terminal.out(`${' '.repeat(longest + 8)}${terminal.paint('cyan', 'fix:')} ${fix}`)
      }
      const number = (status: CheckStatus) => diagnosis.checks.filter((c) => c.status === status).length
      terminal.out(
        `${diagnosis.checks.length} checks: ${number('ok')} ok, ${number('warn')} warnings, ${number('fail')} failures`,
      )
    })
}
