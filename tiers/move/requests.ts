import { InnkeeperError } from '../errors.ts'
import { isBeforeFlip, isFinal, type MoveState, STATES } from './states.ts'
import type { Move, MoveRequest } from './types.ts'

interface RequestRule {
  /** Where it can be asked for. */
  readonly from: readonly MoveState[]
  /** Where it is being done already: asked again, it changes nothing. */
  readonly during: readonly MoveState[]
  /** How a move ends that did it: asked once more, the answer is the same. */
  readonly end: MoveState
}

const RULES: Readonly<Record<MoveRequest, RequestRule>> = {
  abort: { from: STATES.filter(isBeforeFlip), during: ['aborting'], end: 'aborted' },
  rollback: { from: ['watching'], during: ['rolling_back', 'returning', 'clearing'], end: 'rolled_back' },
  complete: { from: ['watching'], during: ['completing'], end: 'completed' },
}

/** The states in which the request can still be made. */
export function statesFor(request: MoveRequest): readonly MoveState[] {
  return RULES[request].from
}

/**
 * @returns whether it is done, or being done, already: whoever lost the first answer may ask again
 * @throws InnkeeperError `conflict` where the move takes no such request, saying how it ended if it has
 */
export function isAnswered({ id, state, endedAt }: Move, request: MoveRequest): boolean {
  const { from, during, end } = RULES[request]
  if (state === end || during.includes(state)) return true
  if (from.includes(state)) return false
  if (isFinal(state)) {
    throw new InnkeeperError('conflict', `The move has ended: it is ${state}`, {
      details: `move ${id}, ${request} was asked for${endedAt === null ? '' : `, it ended at ${endedAt.toISOString()}`}`,
      hint: 'Where it should be somewhere else, begin another move.',
    })
  }
  throw new InnkeeperError('conflict', `The move is ${state}: ${request} has no place there`)
}
