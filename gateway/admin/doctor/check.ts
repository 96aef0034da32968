import { within } from '../../../tiers/cache/within.ts'

export type CheckStatus = 'ok' | 'warn' | 'fail'

/** One thing looked at, what was found, and what to do about it. */
export interface Check {
  readonly name: string
  readonly status: CheckStatus
  readonly message: string
  /** Null where there is nothing to do. */
  readonly fix: string | null
}

export const ok = (name: string, message: string): Check => ({ name, status: 'ok', message, fix: null })
export const warn = (name: string, message: string, fix: string): Check => ({ name, status: 'warn', message, fix })
export const fail = (name: string, message: string, fix: string): Check => ({ name, status: 'fail', message, fix })

const TIMEOUT_MS = 60_000

/** Runs checks that hang on one server; when it does not answer, that is the finding. */
export async function checking(
  name: string,
  fix: string,
  run: () => Promise<Check[]>,
  timeoutMs = TIMEOUT_MS,
): Promise<Check[]> {
  try {
    return await within(run(), timeoutMs)
  } catch (error) {
    return [fail(name, messageOf(error), fix)]
  }
}

/** A refused connection carries its reason in a list, one for each address that was tried. */
function messageOf(error: unknown): string {
  const { message, code, errors } = error as NodeJS.ErrnoException & { errors?: readonly Error[] }
  return message || errors?.[0]?.message || code || String(error)
}

/** The first few of a list, for a message. */
export function some(names: readonly string[], max = 5): string {
  const shown = names.slice(0, max).join(', ')
  return names.length > max ? `${shown} and ${names.length - max} more` : shown
}
