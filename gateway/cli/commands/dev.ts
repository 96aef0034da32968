import { Command } from 'commander'
import { surviveLostTypeQueries } from '../../driver-rejections.ts'
import { port } from '../options.ts'

/** What `npm start` runs. */
export function devCommand(): Command {
  return new Command('dev')
    .description('run a whole system on this machine: PostgreSQL servers, a gateway per region, the control plane')
    .option('--port <port>', "of the first region's gateway; the next regions take the next ports", port, 8080)
    .option('--admin-port <port>', 'of the admin API', port, 9090)
    .option('--reset', 'begin with an empty state folder')
    .option('--no-demo', 'start without the demo tenants')
    .option('--config <folder>', "a product's own config folder")
    .action(async (_options, command: Command) => {
      const options = command.optsWithGlobals()
      // Not before it is needed: other commands start sooner without.
      const { runDev } = await import('../../dev/dev.ts')
      surviveLostTypeQueries()
      await runDev({
        port: options.port,
        adminPort: options.adminPort,
        state: options.state,
        reset: options.reset === true,
        demo: options.demo,
        configFolder: options.config ?? null,
      })
    })
}
