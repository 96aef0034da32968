import { pipeline } from 'node:stream/promises'
import { Command } from 'commander'
import { environment } from '../../../config/environment.ts'
import { rotateFiles, type SealedFile, sealedFiles } from '../../../tiers/ring/files.ts'
import { type KeyRing, keyRing } from '../../../tiers/ring/key-ring.ts'
import { sealing, unsealing } from '../../../tiers/ring/sealed.ts'
import { cliOf } from '../cli.ts'
import { EXIT } from '../exit-codes.ts'
import type { SetExitCode } from '../program.ts'
import { table } from '../table.ts'

/** Works on this machine with the region's keys alone: no control plane, no database. */
export function ringCommand(setExitCode: SetExitCode): Command {
  const ring = new Command('ring').description("what a region's key ring seals: kept directories, exported files")

  regional(ring, 'status')
    .description('which key each sealed file needs')
    .argument('<path...>', 'files, or folders that are looked through')
    .action(async (paths: string[], options: RingOptions, command: Command) => {
      const { terminal } = cliOf(command)
      const keys = await ringOf(options)
      const files: SealedFile[] = []
      for await (const file of sealedFiles(paths, keys)) files.push(file)
      setExitCode(files.some((f) => f.key === 'missing') ? EXIT.failed : EXIT.ok)
      if (terminal.json) {
        return terminal.data(files.map(({ path, purpose, keyId, key }) => ({ path, purpose, keyId, key })))
      }
      terminal.out(
        table(
          terminal,
          ['FILE', 'SEALED AS', 'KEY', 'IN THE RING'],
          files.map((f) => [f.path, f.purpose, f.keyId, f.key]),
        ),
      )
      terminal.note(`The key in use is ${keys.currentId}.`)
    })

  regional(ring, 'rotate')
    .description('seal what older keys sealed with the key in use; may be killed and run again')
    .argument('<path...>', 'files, or folders that are looked through')
    .action(async (paths: string[], options: RingOptions, command: Command) => {
      const { terminal } = cliOf(command)
      const keys = await ringOf(options)
      const count = { rotated: 0, current: 0, failed: 0 }
      for await (const file of rotateFiles(paths, keys)) {
        count[file.outcome]++
        if (file.outcome === 'rotated') terminal.note(`rotated ${file.path}`)
        if (file.outcome === 'failed') terminal.err(`failed  ${file.path}: ${file.error.message}`)
      }
      setExitCode(count.failed > 0 ? EXIT.failed : EXIT.ok)
      if (terminal.json) return terminal.data({ keyId: keys.currentId, ...count })
      terminal.out(`${count.rotated} rotated, ${count.current} current already, ${count.failed} failed`)
      if (count.failed === 0) terminal.note('Older keys are needed for none of these files any more.')
    })

  regional(ring, 'seal')
    .description('seal standard input to standard output, as an export')
    .action(async (options: RingOptions) => {
      await pipeline(process.stdin, sealing(await ringOf(options), 'export'), process.stdout)
    })

  regional(ring, 'unseal')
    .description('give back on standard output what was sealed; it is whole when the command ends well')
    .action(async (options: RingOptions) => {
      await pipeline(process.stdin, unsealing(await ringOf(options), 'export'), process.stdout)
    })
  return ring
}

interface RingOptions {
  readonly region: string
  readonly config?: string
}

function regional(parent: Command, name: string): Command {
  return parent
    .command(name)
    .requiredOption('--region <name>', 'whose ring; its keys are read from the environment, and no others')
    .option('--config <folder>', "the product's config folder; the demo's where left out")
}

async function ringOf({ region, config }: RingOptions): Promise<KeyRing> {
  const { loadConfig } = await import('../../product.ts')
  const { resolveKeyRing } = await import('../../../config/index.ts')
  return keyRing(region, resolveKeyRing(await loadConfig(config ?? null), region, environment()))
}
