import { spawn } from 'node:child_process'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import type { LoadJob } from './load.ts'
import type { PacedReport } from './paced.ts'

export interface LoadReport {
  readonly writes: PacedReport
  readonly requests: PacedReport
}

export interface LoadChild {
  /** Of what was answered since the last report. */
  report(): Promise<LoadReport>
  stop(): Promise<void>
}

/** Starts the load in a process of its own. */
export async function startLoad(job: LoadJob): Promise<LoadChild> {
  const child = spawn(process.execPath, [fileURLToPath(new URL('load.ts', import.meta.url))], {
    stdio: ['pipe', 'pipe', 'inherit'],
    env: { ...process.env, BENCH_JOB: JSON.stringify(job) },
  })
  const ended = new Promise<void>((resolve) => child.once('exit', () => resolve()))
  const lines = createInterface({ input: child.stdout })
  const line = () =>
    Promise.race([
      new Promise<string>((resolve) => lines.once('line', resolve)),
      ended.then((): never => {
        throw new Error('the load ended before its time')
      }),
    ])
  await line()
  return {
    async report() {
      const answer = line()
      child.stdin.write('\n')
      return JSON.parse(await answer) as LoadReport
    },
    async stop() {
      child.stdin.end()
      await ended
    },
  }
}
