import { basename, resolve } from 'node:path'
import { Command } from 'commander'
import { cliOf } from '../cli.ts'
import { writeProduct } from '../init/write-product.ts'

export function initCommand(): Command {
  return new Command('init')
    .description("write a product's config folder: configuration, tables, a migration, endpoints")
    .argument('<folder>')
    .option('--force', 'write into a folder that is not empty, over files of these names')
    .option('--name <name>', "the package's name; the folder's where left out")
    .action(async (folder: string, { force, name }, command: Command) => {
      const { terminal } = cliOf(command)
      const path = resolve(folder)
      const files = await writeProduct(path, { name: name ?? basename(path), isForced: force === true })
      if (terminal.json) return terminal.data({ folder: path, files })
      for (const file of files) terminal.out(`  ${file}`)
      terminal.note(`
${files.length} files in ${path}. Next:

  npx innkeeper dev --config ${folder}      runs it here (from Innkeeper's own repository: npm start -- --config ${folder})
  npx innkeeper tenants list                in another terminal

To have types in your editor: cd ${folder} && npm install`)
    })
}
