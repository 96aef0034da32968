import { Command } from 'commander'
import { environment } from '../../../config/environment.ts'
import { cliOf } from '../cli.ts'
import { port } from '../options.ts'
import type { SetExitCode } from '../program.ts'
import { closeOnSignal } from '../signals.ts'

/** One gateway, in production. */
export function serveCommand(setExitCode: SetExitCode): Command {
  return new Command('serve')
    .description('run the gateway of one region')
    .requiredOption('--region <name>', 'the region it serves; it needs the credentials of that region only')
    .option('--config <folder>', "the product's config folder; the demo's where left out")
    .option('--port <port>', 'where it listens', port, 8080)
    .option('--host <address>', 'the address it listens on', '0.0.0.0')
    .option('--metrics-port <port>', 'where Prometheus finds /metrics; nowhere where left out', port)
    .option('--metrics-host <address>', 'the address for it', '127.0.0.1')
    .action(async (options, command: Command) => {
      const { terminal } = cliOf(command)
      const { startGateway } = await import('../../serve.ts')
      const { region, host } = options
      const gateway = await startGateway({
        configFolder: options.config ?? null,
        region,
        port: options.port,
        host,
        env: environment(),
        ...(options.metricsPort === undefined
          ? {}
          : { metrics: { port: options.metricsPort, host: options.metricsHost } }),
      })
      terminal.err(`gateway of region ${region} at ${gateway.url}`)
      setExitCode(await closeOnSignal(() => gateway.close(), { say: terminal.err }))
    })
}
