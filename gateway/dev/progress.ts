/** Tells on the terminal what a start is doing: one line that changes, or a line each where there is no terminal. */
export interface Progress {
  step(text: string): void
  /** Leaves the line. */
  done(text: string): void
}

export function progressOn(stream: NodeJS.WriteStream): Progress {
  const started = performance.now()
  const seconds = () => `${((performance.now() - started) / 1000).toFixed(1).padStart(5)} s`
  let last = ''
  const write = (text: string, end: string) => {
    if (stream.isTTY) stream.write(`\r\x1b[2K${seconds()}  ${text.slice(0, (stream.columns ?? 80) - 12)}${end}`)
    else if (text !== last) stream.write(`${seconds()}  ${text}\n`)
    last = text
  }
  return {
    step: (text) => write(text, ''),
    done: (text) => write(text, '\n'),
  }
}
