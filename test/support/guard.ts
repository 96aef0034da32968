import { spawn } from 'node:child_process'
import type { Socket } from 'node:net'

/**
 * Has a shell text run when this process is gone, however it goes: also by SIGKILL, by a runner that loses patience or
 * by a crash. A small shell holds the other end of a pipe, and the kernel closes ours. (A handler of `exit` does not
 * run on SIGKILL; and a later run that clears up would leave servers running until then, and forever if none comes.)
 *
 * @param shellText its arguments are `$1`, `$2`
 * @returns calls it off
 */
export function whenWeDie(shellText: string, ...args: string[]): () => void {
  const watcher = spawn('/bin/sh', ['-c', `read -r word; [ "$word" = off ] && exit\n${shellText}`, 'sh', ...args], {
    // Out of reach of the terminal's Ctrl-C, which ends us and not the clearing up.
    detached: true,
    stdio: ['pipe', 'ignore', 'ignore'],
    cwd: '/',
  })
  watcher.unref()
  const pipe = watcher.stdin as Socket
  pipe.unref()
  return () => pipe.end('off\n')
}
