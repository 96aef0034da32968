import { Command } from 'commander'
import { environment } from '../../../config/environment.ts'
import type { Incarnation } from '../../../tiers/control/incarnation.ts'
import { surviveLostTypeQueries } from '../../driver-rejections.ts'
import { cliOf } from '../cli.ts'
import { confirm } from '../confirm.ts'
import { EXIT } from '../exit-codes.ts'
import { port } from '../options.ts'
import type { SetExitCode } from '../program.ts'
import { closeOnSignal } from '../signals.ts'

/** The control plane, in production. */
export function controlCommand(setExitCode: SetExitCode): Command {
  const control = new Command('control')
    .description('run the control plane with the admin API; brings databases up to date when it starts')
    .option('--config <folder>', "the product's config folder; the demo's where left out")
    .option('--port <port>', "where it listens; the configuration's admin.port where left out", port)
    .option('--host <address>', "the address it listens on; the configuration's admin.host where left out")
    .action(async (options, command: Command) => {
      const { terminal } = cliOf(command)
      const { startControl } = await import('../../control.ts')
      surviveLostTypeQueries()
      const control = await startControl({
        configFolder: options.config ?? null,
        port: options.port,
        host: options.host,
        env: environment(),
        onStep: (step) => terminal.err(`installing: ${step}`),
      })
      terminal.err(`control plane at ${control.url}`)
      setExitCode(await closeOnSignal(() => control.close(), { say: terminal.err }))
    })
  return control.addCommand(newIncarnationCommand(setExitCode))
}

/** `innkeeper control new-incarnation`: the first thing after the control database was restored from a backup. */
function newIncarnationCommand(setExitCode: SetExitCode): Command {
  return new Command('new-incarnation')
    .description('say that the control database was restored: epochs begin anew, and homes are what the data says')
    .option('--yes', 'do not ask')
    .option('--reason <text>', 'why, for the log')
    .action(async ({ yes, reason }, command: Command) => {
      const { terminal, admin } = cliOf(command)
      await confirm(terminal, 'All epochs begin above those that were used', 'new-incarnation', yes === true)
      const made = await (await admin()).call<Incarnation>('POST', '/incarnations', { reason })
      setExitCode(made.unclear.length === 0 ? EXIT.ok : EXIT.unclear)
      if (terminal.json) return terminal.data(made)
      terminal.out(`incarnation ${made.number}`)
      for (const { tenant, to } of made.adopted) {
        terminal.out(`${tenant} lives at ${to.cluster}/${to.database}/${to.schema}, epoch ${to.epoch}`)
      }
      for (const { move, was, now } of made.moves) terminal.out(`move ${move} is ${now}; it was believed to be ${was}`)
      for (const each of made.unclear) terminal.err(`${terminal.paint('yellow', 'look at it')} ${each}`)
    })
}
