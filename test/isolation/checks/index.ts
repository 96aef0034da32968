import type { Check } from '../support/check.ts'
import { besideChecks } from './beside.ts'
import { contextChecks } from './context.ts'
import { fenceChecks } from './fence.ts'
import { interfaceChecks } from './interface.ts'
import { rowChecks } from './rows.ts'
import { sessionChecks } from './session.ts'

/** Every attack, each with a name of its own. */
export const CHECKS: readonly Check[] = [
  ...rowChecks,
  ...contextChecks,
  ...fenceChecks,
  ...sessionChecks,
  ...interfaceChecks,
  ...besideChecks,
]
