import { readFileSync } from 'node:fs'
import { Command } from 'commander'
import { controlCommand } from './commands/control.ts'
import { devCommand } from './commands/dev.ts'
import { serveCommand } from './commands/serve.ts'
import { EXIT_CODES_HELP } from './exit-codes.ts'

/** A command that ends otherwise than well without throwing says so by this. */
export type SetExitCode = (code: number) => void

/** All commands, and the options that each of them takes. */
export function createProgram(setExitCode: SetExitCode): Command {
  const program = new Command('innkeeper')
    .description('Runs and operates Innkeeper: every tenant in its own kind of room, behind one interface.')
    .version(version(), '-V, --version')
    .option('--json', 'write results and errors as JSON')
    .option('--admin-url <url>', 'the admin API (env INNKEEPER_ADMIN_URL; else demo.json in --state)')
    .option('--admin-token <token>', 'its token (env INNKEEPER_ADMIN_TOKEN; else demo.json in --state)')
    .option('--state <folder>', "a local system's folder", '.innkeeper')
    .option('--debug', 'show where an error comes from')
    .configureHelp({ showGlobalOptions: true })
    .showHelpAfterError('(add --help to see what it takes)')
    .addHelpText('after', EXIT_CODES_HELP)
    .exitOverride()
  for (const make of [devCommand, serveCommand, controlCommand]) {
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

function version(): string {
  // From source the file is two folders up; in a package, under dist/, three.
  const up = import.meta.url.endsWith('.ts') ? '../../package.json' : '../../../package.json'
  const { version } = JSON.parse(readFileSync(new URL(up, import.meta.url), 'utf8')) as { version: string }
  return version
}
