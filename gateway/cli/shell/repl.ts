import { createInterface } from 'node:readline'
import { reportFailure } from '../failure.ts'
import { complete } from './complete.ts'
import { type Door, runStatement } from './statement.ts'

const HELP = `A statement ends with a semicolon and may go over several lines.
  \\d          tables of the room
  \\d NAME     columns of a table
  \\q          end (also Ctrl-D); Ctrl-C forgets the statement being written`

/** Reads statements until the end of the input. An error of one does not end the shell. */
export async function runShell(door: Door, input: NodeJS.ReadableStream, output: NodeJS.WritableStream): Promise<void> {
  const { terminal, slug } = door
  const isInteractive = terminal.canAsk
  const lines = createInterface({ input, output, terminal: isInteractive, prompt: `${slug}=> ` })
  let text = ''
  const ask = () => {
    if (!isInteractive) return
    lines.setPrompt(text === '' ? `${slug}=> ` : `${slug}-> `)
    lines.prompt()
  }
  lines.on('SIGINT', () => {
    text = ''
    output.write('^C\n')
    // What stands on the line goes too: the keys that do it, as if they were pressed.
    for (const name of ['e', 'u']) lines.write(null, { ctrl: true, name })
    ask()
  })
  if (isInteractive) terminal.note(`SQL as tenant ${slug}. \\? for help, \\q to end.`)
  ask()
  for await (const line of lines) {
    const word = line.trim()
    if (text === '' && /^(\\q|exit|quit);?$/.test(word)) break
    if (text === '' && word === '\\?') terminal.note(HELP)
    else if (text === '' && word.startsWith('\\')) await attempt(door, word)
    else {
      const { statements, rest } = complete(text === '' ? line : `${text}\n${line}`)
      text = rest
      for (const statement of statements) await attempt(door, statement)
    }
    ask()
  }
  lines.close()
  if (!isInteractive && text.trim() !== '') await runStatement(door, text)
}

async function attempt(door: Door, statement: string): Promise<void> {
  try {
    await runStatement(door, statement)
  } catch (error) {
    // A script stops at its first error; a person reads it and goes on.
    if (!door.terminal.canAsk) throw error
    reportFailure(error, door.terminal)
  }
}
