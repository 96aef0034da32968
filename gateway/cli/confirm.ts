import { createInterface } from 'node:readline'
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
  const answer = await answerTo(`${what}. This cannot be undone.\nWrite ${word} to go on: `)
  if (answer === null) {
    // The prompt is still on its line.
    terminal.err('')
    throw new CliError('nothing was done', { code: 'interrupted', exitCode: EXIT.interrupted })
  }
  if (answer.trim() !== word) throw new CliError('nothing was done', { code: 'unconfirmed' })
}

/** Null where there is none: Ctrl-C, Ctrl-D, or a terminal that is gone. */
async function answerTo(question: string): Promise<string | null> {
  const lines = createInterface({ input: process.stdin, output: process.stderr })
  const { promise, resolve } = Promise.withResolvers<string | null>()
  lines.once('close', () => resolve(null))
  lines.question(question, resolve)
  try {
    return await promise
  } finally {
    lines.close()
  }
}
