import { execFile } from 'node:child_process'
import { createHash } from 'node:crypto'
import { lstat, mkdir, readFile, rename, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { ensureCluster } from '../../gateway/dev/postgres/cluster.ts'
import { choosePlace, type Place } from '../../gateway/dev/postgres/place.ts'
import type { PostgresBinaries } from '../../gateway/dev/postgres/types.ts'
import { temporaryFolder } from './temporary.ts'

const run = promisify(execFile)

/**
 * Gives the server of a folder its data and password by copying, which takes a third of the processor time that initdb
 * takes. The original is made once for each version and user of this machine, and again when the code that makes it has
 * changed.
 */
export async function seedFromTemplate(dataDir: string, binaries: PostgresBinaries): Promise<Place> {
  const template = await templateFor(binaries)
  await copy(join(template, 'password'), join(dataDir, 'password'))
  const place = await choosePlace(dataDir, binaries)
  await copy(join(template, 'data'), place.data)
  return place
}

async function templateFor(binaries: PostgresBinaries): Promise<string> {
  const recipe = await readFile(new URL('../../gateway/dev/postgres/cluster.ts', import.meta.url))
  const user = process.getuid?.() ?? 0
  const key = createHash('sha256').update(recipe).digest('hex').slice(0, 8)
  const path = join(tmpdir(), `innkeeper-template-${binaries.version}-${user}-${key}`)
  if (!(await isOurs(path, user))) await makeTemplate(path, binaries)
  return path
}

/** Test files that need it at the same time each make one; the first to rename its own has made it for all. */
async function makeTemplate(path: string, binaries: PostgresBinaries): Promise<void> {
  const scratch = await temporaryFolder('template')
  const whole = join(scratch, 'whole')
  const place = await choosePlace(scratch, binaries)
  await ensureCluster(place)
  await mkdir(whole, { mode: 0o700 })
  await copy(place.data, join(whole, 'data'))
  await copy(join(scratch, 'password'), join(whole, 'password'))
  await rename(whole, path).catch((error: NodeJS.ErrnoException) => {
    if (error.code !== 'ENOTEMPTY' && error.code !== 'EEXIST') throw error
  })
  await rm(place.home, { recursive: true })
  await rm(scratch, { recursive: true, force: true })
}

/** By `cp` and not node:fs, which copies no ownership: the data is the server's user's. Shares blocks where it can. */
async function copy(from: string, to: string): Promise<void> {
  await run('cp', [...(process.platform === 'linux' ? ['--reflink=auto'] : []), '-pR', from, to])
}

async function isOurs(path: string, uid: number): Promise<boolean> {
  const found = await lstat(path).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return null
    throw error
  })
  if (found !== null && found.uid !== uid) throw new Error(`${path} is another user's: remove it`)
  return found !== null
}
