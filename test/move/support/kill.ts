import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import { whenWeDie } from '../../support/guard.ts'
import type { TestSystem } from '../../support/system.ts'

const CHILD = fileURLToPath(new URL('../child.ts', import.meta.url))

export interface Mover {
  /** Waits until it has killed itself. */
  readonly died: Promise<void>
  kill(): void
}

/** Starts a mover in a process of its own, which ends by SIGKILL when it comes to the point. */
export function startMover(system: TestSystem, moveSettings: object, point: string): Mover {
  const { input, env, migrationsFolder } = system
  const job = JSON.stringify({ input, env, migrationsFolder, moveSettings, point })
  const child = spawn(process.execPath, [CHILD, job], { stdio: ['ignore', 'ignore', 'pipe'] })
  const callOff = whenWeDie('kill -9 "$1"', String(child.pid))
  let said = ''
  child.stderr.on('data', (chunk) => (said += chunk))
  const died = once(child, 'exit').then(([, signal]) => {
    callOff()
    if (signal !== 'SIGKILL') throw new Error(`the mover ended by itself: ${said}`)
  })
  died.catch(() => {})
  return { died, kill: () => child.kill('SIGKILL') }
}

/** Every edge between states, and the places inside them where something is done and not yet written down. */
export const FORWARD_POINTS = [
  'state:planned',
  'state:preparing',
  'room_made',
  'bare',
  'state:copying',
  'chunk',
  'loaded',
  'state:catching_up',
  'pass',
  'part',
  'state:verifying',
  'applied',
  'state:cutting_over',
  'before_fence',
  'fenced',
  'drained',
  'compared',
  'tightened',
  'opened',
  'flipped',
  'state:watching',
] as const
export const COMPLETE_POINTS = ['state:completing', 'emptied'] as const
export const BACKWARD_POINTS = [
  'state:rolling_back',
  'pass',
  'applied',
  'state:returning',
  'before_fence',
  'fenced',
  'drained',
  'compared',
  'tightened',
  'opened',
  'flipped',
  'state:clearing',
  'emptied',
] as const
export const ABORT_POINTS = ['state:aborting', 'retreated', 'emptied'] as const
