import type { Secret } from './secret.ts'

/** Reads a secret of the configuration; a fault is noted and the value is then empty. `check` says what is wrong. */
export type Read = (where: string, ref: Secret, check: (value: string) => string | null) => string
