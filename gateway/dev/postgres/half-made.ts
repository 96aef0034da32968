import { randomUUID } from 'node:crypto'
import { readdir, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { isAlive } from './process.ts'

/*
 * A data folder is made under a name of this form, which has the process id of its maker, and renamed when it is
 * complete. So what bears the final name is never half made, whenever its maker is killed.
 */
const PREFIX = 'half-made-'

export function halfMadeName(home: string): string {
  return join(home, `${PREFIX}${process.pid}-${randomUUID()}`)
}

/** Our own process id among them is one of a killed start's: in containers, each start tends to get the same. */
export async function removeHalfMade(home: string): Promise<void> {
  for (const name of await readdir(home)) {
    if (!name.startsWith(PREFIX)) continue
    const maker = Number.parseInt(name.slice(PREFIX.length), 10)
    if (maker !== process.pid && isAlive(maker)) continue
    // An initdb that has outlived its start may still write for a moment, hence the retries.
    await rm(join(home, name), { recursive: true, force: true, maxRetries: 10 })
  }
}
