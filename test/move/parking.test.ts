import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import { Parking } from '../../tiers/room/parking.ts'
import type { TenantId } from '../../tiers/types.ts'

const [ACME, GLOBEX] = ['acme', 'globex'] as unknown as [TenantId, TenantId]

/** No tick comes by itself. */
beforeEach(() => {
  vi.useFakeTimers()
})
afterEach(() => {
  vi.useRealTimers()
})

function lot() {
  const epochs = new Map<TenantId, number | undefined>([
    [ACME, 1],
    [GLOBEX, 1],
  ])
  const parking = new Parking((id) => epochs.get(id))
  const woken: string[] = []
  const wait = (id: TenantId, name: string) => {
    void parking.wait(id, 1, 1_000, undefined).then(() => woken.push(name))
  }
  const turn = () => vi.advanceTimersByTimeAsync(0)
  return { epochs, parking, woken, wait, turn }
}

test('at the word that something of a tenant has changed one of those who wait for it looks, at once', async () => {
  const { epochs, parking, woken, wait, turn } = lot()
  wait(ACME, 'first')
  wait(ACME, 'second')
  wait(GLOBEX, 'another tenant’s')
  // What was known is not known any more.
  epochs.set(ACME, undefined)
  parking.look(ACME)
  await turn()
  expect(woken).toEqual(['first'])
})

test('where the new home is known already all go, and a word of a tenant that nobody waits for wakes nobody', async () => {
  const { epochs, parking, woken, wait, turn } = lot()
  wait(ACME, 'first')
  wait(ACME, 'second')
  epochs.set(ACME, 2)
  parking.look(GLOBEX)
  await turn()
  expect(woken).toEqual([])
  parking.look(ACME)
  await turn()
  expect(woken).toEqual(['first', 'second'])
  parking.look(ACME)
})

test('a word about something else of the tenant, which lives where it did, wakes nobody before it is time', async () => {
  const { parking, woken, wait, turn } = lot()
  wait(ACME, 'first')
  parking.look(ACME)
  await turn()
  expect(woken).toEqual([])
})

test('it says for whom somebody waits, and no longer when they were let in', async () => {
  const { parking, wait, turn } = lot()
  expect(parking.awaited()).toEqual([])
  wait(ACME, 'first')
  wait(ACME, 'second')
  wait(GLOBEX, 'another tenant’s')
  expect(parking.awaited()).toEqual([ACME, GLOBEX])
  parking.open(ACME)
  await turn()
  expect(parking.awaited()).toEqual([GLOBEX])
})

test('where very many tenants are waited for it names none of them: each word of a change would be as many questions', async () => {
  const { parking, wait } = lot()
  wait(ACME, 'the first')
  for (let n = 0; n < 100; n++) wait(`tenant-${n}` as TenantId, 'one of many')
  expect(parking.awaited()).toEqual([])
  for (let n = 0; n < 100; n++) parking.open(`tenant-${n}` as TenantId)
  expect(parking.awaited()).toEqual([ACME])
})
