import { Command } from 'commander'
import { auditCommand } from './commands/audit.ts'
import { controlCommand } from './commands/control.ts'
import { devCommand } from './commands/dev.ts'
import { doctorCommand } from './commands/doctor.ts'
import { domainsCommand } from './commands/domains.ts'
import { generateCommand } from './commands/generate.ts'
import { initCommand } from './commands/init.ts'
import { keysCommand } from './commands/keys.ts'
import { migrateCommand } from './commands/migrate.ts'
import { movesCommand } from './commands/move.ts'
import { moverCommand } from './commands/mover.ts'
import { operatorsCommand } from './commands/operators.ts'
import { peeringKeyCommand } from './commands/peering-key.ts'
import { residencyCommand } from './commands/residency.ts'
import { ringCommand } from './commands/ring.ts'
import { serveCommand } from './commands/serve.ts'
import { shellCommand } from './commands/shell.ts'
import { tenantsCommand } from './commands/tenants.ts'
import { EXIT_CODES_HELP } from './exit-codes.ts'
import { ownPackage } from './package.ts'

/** A command that ends otherwise than well without throwing says so by this. */
export type SetExitCode = (code: number) => void

/** In the order in which --help shows them. */
const COMMANDS = [
  devCommand,
  initCommand,
  serveCommand,
  controlCommand,
  moverCommand,
  tenantsCommand,
  movesCommand,
  domainsCommand,
  keysCommand,
  residencyCommand,
  auditCommand,
  operatorsCommand,
  shellCommand,
  migrateCommand,
  generateCommand,
  peeringKeyCommand,
  ringCommand,
  doctorCommand,
] as const

/** All commands, and the options that each of them takes. */
export function createProgram(setExitCode: SetExitCode): Command {
  const program = new Command('innkeeper')
    .description('Runs and operates Innkeeper: every tenant in its own kind of room, behind one interface.')
    .version(ownPackage().version, '-V, --version')
    .option('--json', 'write results and errors as JSON')
    .option('--admin-url <url>', 'the admin API (env INNKEEPER_ADMIN_URL; else demo.json in --state)')
    .option('--admin-token <token>', 'its token (env INNKEEPER_ADMIN_TOKEN; else demo.json in --state)')
    .option('--state <folder>', "a local system's folder", '.innkeeper')
    .option('--debug', 'show where an error comes from')
    .configureHelp({ showGlobalOptions: true })
    .showHelpAfterError('(add --help to see what it takes)')
    .addHelpText('after', EXIT_CODES_HELP)
    .exitOverride()
  for (const make of COMMANDS) {
    program.addCommand(inherit(make(setExitCode), program))
  }
  return program
}

/** `addCommand` takes a command as it is; only `command()` hands settings down. */
function inherit(command: Command, parent: Command): Command {
  command.copyInheritedSettings(parent)
  for (const child of command.commands) inherit(child, command)
  return command
}
