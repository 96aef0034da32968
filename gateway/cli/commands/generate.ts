import { Command, InvalidArgumentError } from 'commander'
import { cliOf } from '../cli.ts'

export function generateCommand(): Command {
  return new Command('generate')
    .description('write the next migration from what changed in schema.ts')
    .argument('<name>', 'what it is about: add_invoices', nameOf)
    .option('--config <folder>', "the product's config folder; the demo's where left out")
    .action(async (name: string, { config = null }, command: Command) => {
      const { terminal } = cliOf(command)
      const { loadSchema } = await import('../../product.ts')
      const { generateMigration } = await import('../../../tiers/migrate/generate.ts')
      const { schema, migrationsFolder } = await loadSchema(config)
      const file = await generateMigration(schema, migrationsFolder, name)
      if (terminal.json) return terminal.data({ file, folder: migrationsFolder })
      if (file === null) return terminal.note('schema.ts is as the last migration left it: nothing to write.')
      terminal.out(`${migrationsFolder}/${file}`)
      terminal.note('Read it, then apply it: innkeeper migrate')
    })
}

function nameOf(text: string): string {
  if (/^[a-z][a-z0-9_]{0,60}$/.test(text)) return text
  throw new InvalidArgumentError('Use lower-case letters, digits and underscores.')
}
