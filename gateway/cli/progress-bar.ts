import type { Terminal } from './terminal.ts'

export interface ProgressBar {
  show(done: number, total: number, label: string): void
  /** Takes the bar away. */
  end(): void
}

const WIDTH = 30
const CLEAR = '\r\u001b[2K'

/** One line that is drawn over, where there is a terminal; elsewhere a line now and then, so that a log shows it lives. */
export function progressBar(terminal: Terminal, columns = process.stderr.columns || 80): ProgressBar {
  let tenth = 0
  return {
    show(done, total, label) {
      const part = total === 0 ? 1 : done / total
      if (terminal.canDraw) {
        const full = Math.round(part * WIDTH)
        const text = `${'█'.repeat(full)}${'░'.repeat(WIDTH - full)} ${done}/${total} ${label}`
        terminal.draw(CLEAR + text.slice(0, columns - 1))
      } else if (Math.floor(part * 10) > tenth) {
        tenth = Math.floor(part * 10)
        terminal.note(`${done}/${total} ${label}`)
      }
    },
    end() {
      if (terminal.canDraw) terminal.draw(CLEAR)
    },
  }
}
