import type { Environment } from './environment.ts'
import type { Secret } from './secret.ts'

/** Reads a secret of the configuration; a fault is noted and the value is then empty. `check` says what is wrong. */
export type Read = (where: string, ref: Secret, check: (value: string) => string | null) => string

export function reader(env: Environment, faults: { readonly where: string; readonly what: string }[]): Read {
  return (where, ref, check) => {
    const value = env[ref.env]
    if (value === undefined || value === '') {
      faults.push({ where: ref.env, what: `is not set; ${where} needs it` })
      return ''
    }
    const fault = check(value)
    if (fault !== null) faults.push({ where: ref.env, what: fault })
    return value
  }
}
