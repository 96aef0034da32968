/** The SQLSTATEs that `tenancy.enter` and the policies raise. */
export const SQLSTATE = {
  staleEpoch: 'IK001',
  fenced: 'IK002',
  lockedByMover: 'IK003',
  ticketForged: 'IK010',
  ticketOld: 'IK011',
  secondTenant: 'IK012',
  noTenant: 'IK020',
  contextForged: 'IK021',
  dirtySession: 'IK030',
  /** PostgreSQL's own: of an entrance at repeatable read, that a mover changed the fence between its snapshot and its lock. */
  serializationFailure: '40001',
} as const

/** The room is not to be entered now, at this epoch: nothing was executed, so the request may be tried again. */
export function isElsewhere(sqlstate: string | undefined): boolean {
  return ELSEWHERE.has(sqlstate)
}

const ELSEWHERE: ReadonlySet<string | undefined> = new Set([
  SQLSTATE.staleEpoch,
  SQLSTATE.fenced,
  SQLSTATE.lockedByMover,
  SQLSTATE.serializationFailure,
])
