import { randomUUID } from 'node:crypto'
import { readdir, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { isAlive } from './process.ts'

/*
 * A data folder is made under a name of this form and renamed when it is complete. So what bears the final name is
 * never half made, whenever its maker is killed:
 *
 *     half-made-{process id of the maker}-{THIS_PROCESS of the maker}-{random}
 */
const PREFIX = 'half-made-'

/** Tells this process from an earlier one with the same id: in containers, each start tends to get the same. */
export const THIS_PROCESS = randomUUID()

export function halfMadeName(home: string): string {
  return join(home, `${PREFIX}${process.pid}-${THIS_PROCESS}-${randomUUID()}`)
}

/** Removes what killed makers have left; one that is still at work keeps its own. */
export async function removeHalfMade(home: string): Promise<void> {
  for (const name of await readdir(home)) {
    if (!name.startsWith(PREFIX) || isAtWork(name)) continue
    // An initdb that has outlived its start may still write for a moment, hence the retries.
    await rm(join(home, name), { recursive: true, force: true, maxRetries: 10 })
  }
}

function isAtWork(name: string): boolean {
  const maker = Number.parseInt(name.slice(PREFIX.length), 10)
  return maker === process.pid ? name.includes(THIS_PROCESS) : isAlive(maker)
}
