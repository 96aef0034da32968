import { Command } from 'commander'
import { environment } from '../../../config/environment.ts'
import { surviveLostTypeQueries } from '../../driver-rejections.ts'
import { cliOf } from '../cli.ts'
import { port } from '../options.ts'
import type { SetExitCode } from '../program.ts'
import { closeOnSignal } from '../signals.ts'

/** A region's half of the mover, in production. */
export function moverCommand(setExitCode: SetExitCode): Command {
  return new Command('mover')
    .description(
      "run one region's half of the mover: the moves that lead there, and the region's end of those that leave",
    )
    .requiredOption('--region <name>', 'its region; it needs the credentials of that region only')
    .option('--config <folder>', "the product's config folder; the demo's where left out")
    .option('--port <port>', "where other regions' halves reach it; that of regions.*.mover.url where left out", port)
    .option('--host <address>', 'the address it listens on', '0.0.0.0')
    .action(async ({ region, config, host, port: at }, command: Command) => {
      const { terminal } = cliOf(command)
      const { startMover } = await import('../../mover.ts')
      surviveLostTypeQueries()
      const mover = await startMover({ configFolder: config ?? null, region, host, port: at, env: environment() })
      terminal.err(`half of the mover of region ${region} at port ${mover.port}`)
      setExitCode(await closeOnSignal(() => mover.close(), { say: terminal.err }))
    })
}
