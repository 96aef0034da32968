import { createInterface } from 'node:readline/promises'
import { EXIT } from './exit-codes.ts'
import { CliError } from './failure.ts'
import type { Terminal } from './terminal.ts'

/**
 * Has a person confirm what cannot be undone, by writing the word. With --yes it is confirmed already; where nobody can
 * be asked and it is not, it is refused.
 */
export async function confirm(terminal: Terminal, what: string, word: string, isConfirmed: boolean): Promise<void> {
  if (isConfirmed) return
  if (!terminal.canAsk) {
    throw new CliError(`${what}: confirm it first`, {
      exitCode: EXIT.usage,
      code: 'unconfirmed',
      hint: 'Add --yes when you are sure.',
    })
  }
  const lines = createInterface({ input: process.stdin, output: process.stderr })
  try {
    const answer = await lines.question(`${what}. This cannot be undone.\nWrite ${word} to go on: `)
    if (answer.trim() === word) return
  } finally {
    lines.close()
  }
  throw new CliError('nothing was done', { code: 'unconfirmed' })
}
