import { expect, test } from 'vitest'
import type { EntranceDeps, PlacedTenant } from '../../tiers/room/entrance.ts'
import { makeReady } from '../../tiers/room/make-ready.ts'
import type { StepMaker } from '../../tiers/room/steps.ts'
import { waitUntil } from '../support/wait.ts'

/** What is made ready on real servers is in waiting.test.ts; here, in which order. */
const makingReady = (lease: EntranceDeps['lease']) =>
  makeReady({ lease } as EntranceDeps, {} as StepMaker, {} as PlacedTenant)

test('a server makes one connection ready after the other', async () => {
  const events: string[] = []
  await makingReady(async () => {
    events.push('asked')
    await new Promise((resolve) => setImmediate(resolve))
    events.push('ended')
    throw new Error('no connection')
  })
  expect(events).toEqual(Array.from({ length: 4 }, () => ['asked', 'ended']).flat())
})

test('a server that is far away is not waited for, and one that never answers is given up', async () => {
  let asked = 0
  let refused = 0
  const made = makingReady(
    (_tenant, signal) =>
      new Promise((_, reject) => {
        asked++
        signal!.addEventListener('abort', () => {
          refused++
          reject(signal!.reason)
        })
      }),
  )
  expect(asked).toBe(1)
  await waitUntil('all to be under way', () => asked === 4)
  expect(refused).toBe(0)
  await made
  expect(refused).toBe(4)
})
