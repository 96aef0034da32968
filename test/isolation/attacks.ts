import { afterAll, beforeAll, describe, test } from 'vitest'
import { ISOLATIONS } from '../../tiers/types.ts'
import type { PostgresVersion } from '../support/postgres.ts'
import { CHECKS } from './checks/index.ts'
import { appliesTo, runCheck } from './support/check.ts'
import { type Lab, startLab } from './support/lab.ts'
import { openWorld, partyOf, seed, type World } from './support/world.ts'

/** Every check on every isolation model. */
export function attackSuite(version: PostgresVersion): void {
  let lab: Lab
  beforeAll(async () => {
    lab = await startLab({ version })
  })
  afterAll(() => lab?.close())

  describe.each(ISOLATIONS)('%s:', (isolation) => {
    let world: World
    beforeAll(async () => {
      const { a, b } = lab.pairs[isolation]
      world = openWorld({ isolation, a: partyOf(a, 'a'), b: partyOf(b, 'b'), env: lab.env })
      for (const party of [world.a, world.b]) await seed(world.root(party), party)
    })
    afterAll(() => world?.close())

    for (const check of CHECKS.filter((c) => appliesTo(c, isolation))) test(check.name, () => runCheck(check, world))
  })
}
