import { CHECKS } from '../checks/index.ts'
import { runCheck } from '../support/check.ts'
import type { World } from '../support/world.ts'
import type { MutantAnswer } from './mutant.ts'

/** Longer than any check takes; a weakened system may also hang, which is a way to be caught. */
const CHECK_TIMEOUT_MS = 8_000

/** Runs the named checks, then all others, up to the first that fails. */
export async function firstCaught(world: World, first: readonly string[], others = true): Promise<MutantAnswer> {
  const named = first.map((name) => {
    const check = CHECKS.find((c) => c.name === name)
    if (check === undefined) throw new Error(`There is no check "${name}"`)
    return check
  })
  const rest = others ? CHECKS.filter((c) => !named.includes(c)) : []
  for (const check of [...named, ...rest]) {
    try {
      await within(runCheck(check, world))
    } catch (error) {
      return {
        caughtBy: check.name,
        error: String((error as Error).message)
          .split('\n')[0]!
          .slice(0, 200),
      }
    }
  }
  return { caughtBy: null, error: '' }
}

async function within(running: Promise<void>): Promise<void> {
  const late = Promise.withResolvers<never>()
  const timer = setTimeout(() => late.reject(new Error('no end in sight')), CHECK_TIMEOUT_MS)
  try {
    await Promise.race([running, late.promise])
  } finally {
    clearTimeout(timer)
  }
}
