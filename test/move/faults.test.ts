import { afterAll, beforeAll, test } from 'vitest'
import { breakAndMend } from './support/fault-cases.ts'
import { type FaultLab, startFaultLab } from './support/fault-lab.ts'
import { faultNamed } from './support/faults.ts'

let lab: FaultLab
beforeAll(async () => {
  lab = await startFaultLab()
})
afterAll(() => lab?.close())

// The places where it would hurt most; test/long has every kind of fault, and every point of a move.
test.each([
  ['kill -9 of the source server', 'drained', 'database'],
  ['answers that never come between the mover and the control', 'opened', 'schema'],
] as const)(
  '%s, at %s: one home, nothing lost, nothing left, and the move goes on',
  async (fault, point, isolation) => {
    await breakAndMend(lab, { fault: faultNamed(fault), phase: 'move', point, isolation })
  },
  120_000,
)
