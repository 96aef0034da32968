import { randomBytes } from 'node:crypto'
import { Command } from 'commander'
import { publicKeyOf } from '../../../config/x25519.ts'
import { cliOf } from '../cli.ts'

export function peeringKeyCommand(): Command {
  return new Command('peering-key')
    .description('make the pair of keys by which a region signs what it forwards')
    .action((_options, command: Command) => {
      const { terminal } = cliOf(command)
      const bytes = randomBytes(32)
      const pair = { key: bytes.toString('base64'), publicKey: publicKeyOf(bytes).toString('base64') }
      if (terminal.json) return terminal.data(pair)
      terminal.out(`key         ${pair.key}`)
      terminal.out(`public key  ${pair.publicKey}`)
      terminal.note("The key is the region's own secret; the public key goes into every region's configuration.")
    })
}
