import type { Check } from '../support/check.ts'
import { besideChecks } from './beside.ts'
import { contextChecks } from './context.ts'
import { rowChecks } from './rows.ts'
import { sessionChecks } from './session.ts'

/** Every attack, each with a name of its own. */
export const CHECKS: readonly Check[] = [...rowChecks, ...contextChecks, ...sessionChecks, ...besideChecks]
