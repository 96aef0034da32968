import { styleText } from 'node:util'

type Style = Parameters<typeof styleText>[0]

/** Where a command writes. Results go to `out`; all that is only for the eye of a person goes to `err`. */
export interface Terminal {
  readonly json: boolean
  readonly debug: boolean
  /** Whether a person can be asked. */
  readonly canAsk: boolean
  /** Whether progress can be drawn over itself. */
  readonly canDraw: boolean
  /** One line of a result. */
  out(text: string): void
  /** The whole result for a program: JSON with --json. */
  data(value: unknown): void
  /** A remark, not part of the result; nothing with --json. */
  note(text: string): void
  err(text: string): void
  /** Writes without a new line: what is drawn over. */
  draw(text: string): void
  paint(style: Style, text: string): string
}

/** All that steers a terminal, but new lines, tabs, and the colours of `paint`. */
const STEERING = /\u001b(?!\[(?:1|22|3[1236]|39|90)m)|[\p{Cc}--[\n\t\u001b]]/gv

/** Rows of a tenant, errors that repeat them and names are shown as they are: none of it may write over what was said before. */
export function printable(text: string): string {
  return text.replaceAll(STEERING, '\ufffd')
}

export interface TerminalOptions {
  readonly json: boolean
  readonly debug: boolean
  readonly noColor: boolean
}

export function processTerminal({ json, debug, noColor }: TerminalOptions): Terminal {
  const { stdin, stdout, stderr } = process
  const hasColor = Boolean(stdout.isTTY) && Boolean(stderr.isTTY) && !noColor && !json
  return {
    json,
    debug,
    canAsk: Boolean(stdin.isTTY) && Boolean(stderr.isTTY) && !json,
    canDraw: Boolean(stderr.isTTY) && !noColor && !json,
    out: (text) => stdout.write(`${printable(text)}\n`),
    data: (value) => stdout.write(`${JSON.stringify(value, null, 2)}\n`),
    note: (text) => {
      if (!json) stderr.write(`${printable(text)}\n`)
    },
    err: (text) => stderr.write(`${printable(text)}\n`),
    draw: (text) => stderr.write(text),
    paint: (style, text) => (hasColor ? styleText(style, text, { validateStream: false }) : text),
  }
}
