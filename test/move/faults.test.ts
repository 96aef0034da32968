import { afterAll, beforeAll, test } from 'vitest'
import { breakAndMend } from './support/fault-cases.ts'
import { type FaultLab, startFaultLab } from './support/fault-lab.ts'
import { faultNamed } from './support/faults.ts'

let lab: FaultLab
beforeAll(async () => {
  lab = await startFaultLab()
})
afterAll(() => lab?.close())

// One where it would hurt most; test/long has every kind of fault, and every point of a move.
test('the source server killed when the last changes are over: one home, nothing lost, nothing left, and the move goes on', async () => {
  const fault = faultNamed('kill -9 of the source server')
  await breakAndMend(lab, { fault, phase: 'move', point: 'drained', isolation: 'database' })
}, 120_000)
