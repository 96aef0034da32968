import { setTimeout as sleep } from 'node:timers/promises'

/**
 * Waits until a condition holds, looking every few milliseconds.
 *
 * @param what says in the error what was waited for, such as `the pool to be idle`
 * @throws Error when it does not hold within `timeoutMs` (10 s unless given)
 */
export async function waitUntil(
  what: string,
  condition: () => boolean | Promise<boolean>,
  timeoutMs = 10_000,
): Promise<void> {
  const until = performance.now() + timeoutMs
  while (!(await condition())) {
    if (performance.now() > until) throw new Error(`Waited ${timeoutMs} ms in vain for ${what}`)
    await sleep(10)
  }
}
