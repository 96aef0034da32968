import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { registerHooks } from 'node:module'
import { pathToFileURL } from 'node:url'
import type { WorldFacts } from '../support/world.ts'
import type { SourceWeakening } from './typescript.ts'

/** What the parent says, as JSON on the standard input. */
export interface MutantOrder {
  readonly root: string
  /** Null for the sources as they are. */
  readonly weakening: SourceWeakening | null
  readonly facts: WorldFacts
  readonly checks: readonly string[]
  /** Whether all other checks follow. */
  readonly others: boolean
}

/** What the child answers: the first check that failed, or null. */
export interface MutantAnswer {
  readonly caughtBy: string | null
  readonly error: string
}

const order = JSON.parse(readFileSync(0, 'utf8')) as MutantOrder
if (order.weakening !== null) {
  const { file, from, to, also } = order.weakening
  const target = pathToFileURL(`${order.root}/${file}`).href
  registerHooks({
    load(url, context, nextLoad) {
      const loaded = nextLoad(url, context)
      if (url !== target) return loaded
      const source = [[from, to] as const, ...(also ? [also] : [])].reduce((text, [old, changed]) => {
        assert.ok(text.includes(old), `${file} does not hold ${old}: write the weakening anew`)
        return text.replace(old, () => changed)
      }, String(loaded.source))
      return { ...loaded, source }
    },
  })
}

// Loaded after the hook is in place.
const { openWorld } = await import('../support/world.ts')
const { rekeyDatabase } = await import('../support/clone.ts')
const { firstCaught } = await import('./run.ts')

const world = openWorld(order.facts)
for (const party of new Map([world.a, world.b].map((p) => [p.placement.database, p])).values()) {
  await rekeyDatabase(world.root(party), world.clusters.ticketKeyOf('us-1'), party.placement.database)
}
const answer: MutantAnswer = await firstCaught(world, order.checks, order.others)
await world.close()
process.stdout.write(JSON.stringify(answer))
// A weakened world may have left something open that would keep this process alive.
process.exit(0)
