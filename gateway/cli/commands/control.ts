import { Command } from 'commander'
import { environment } from '../../../config/environment.ts'
import { cliOf } from '../cli.ts'
import { port } from '../options.ts'
import type { SetExitCode } from '../program.ts'
import { closeOnSignal } from '../signals.ts'

/** The control plane, in production. */
export function controlCommand(setExitCode: SetExitCode): Command {
  return new Command('control')
    .description('run the control plane with the admin API; brings databases up to date when it starts')
    .option('--config <folder>', "the product's config folder; the demo's where left out")
    .option('--port <port>', "where it listens; the configuration's admin.port where left out", port)
    .option('--host <address>', "the address it listens on; the configuration's admin.host where left out")
    .action(async (options, command: Command) => {
      const { terminal } = cliOf(command)
      const { startControl } = await import('../../control.ts')
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
}
