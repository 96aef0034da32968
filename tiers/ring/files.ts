import { randomBytes } from 'node:crypto'
import { createReadStream, type Stats } from 'node:fs'
import { type FileHandle, open, readdir, rename, rm, stat } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'
import { pipeline } from 'node:stream/promises'
import { InnkeeperError, isInnkeeperError } from '../errors.ts'
import type { KeyRing } from './key-ring.ts'
import { HEAD_BYTES_MAX, headOf, type SealedHead, sealing, unsealing } from './sealed.ts'

/** One sealed file, and whether the ring opens it: with the key in use, with an older one, or not at all. */
export interface SealedFile extends SealedHead {
  readonly path: string
  readonly key: 'current' | 'old' | 'missing'
}

export type Rotated =
  | { readonly path: string; readonly outcome: 'current' | 'rotated' }
  | { readonly path: string; readonly outcome: 'failed'; readonly error: InnkeeperError }

const UNFINISHED = /\.(\d+)-[0-9a-f]{8}\.rotating$/
const TRIES = 3

/**
 * Every sealed file at or under the paths, in order of their names; other files are passed over.
 * @throws where a path cannot be read
 */
export async function* sealedFiles(paths: readonly string[], ring: KeyRing): AsyncGenerator<SealedFile> {
  for (const path of paths) {
    for await (const file of filesUnder(path)) {
      const head = await readHead(file)
      if (head === null) continue
      const key = head.keyId === ring.currentId ? 'current' : ring.has(head.keyId) ? 'old' : 'missing'
      yield { ...head, path: file, key }
    }
  }
}

/**
 * Seals what was sealed with an older key again, with the one in use. Each file is replaced whole or not at all, and one
 * that cannot be opened is reported and left as it is; killed at any point, and run again, it goes on with what is left.
 */
export async function* rotateFiles(paths: readonly string[], ring: KeyRing): AsyncGenerator<Rotated> {
  for (const path of paths) await removeUnfinished(path)
  for await (const file of sealedFiles(paths, ring)) {
    const { path } = file
    if (file.key === 'current') yield { path, outcome: 'current' }
    else {
      try {
        await rotate(file, ring)
        yield { path, outcome: 'rotated' }
      } catch (error) {
        if (!isInnkeeperError(error)) throw error
        yield { path, outcome: 'failed', error }
      }
    }
  }
}

/** A file that somebody else writes meanwhile is theirs: it is looked at again. */
async function rotate({ path, purpose }: SealedFile, ring: KeyRing): Promise<void> {
  for (let tries = 0; tries < TRIES; tries++) {
    const before = await stat(path)
    const fresh = `${path}.${process.pid}-${randomBytes(4).toString('hex')}.rotating`
    try {
      const file = await open(fresh, 'wx', before.mode & 0o777)
      try {
        // What it was opened with is less what the process's mask takes; and root must leave it to whose it is.
        await file.chmod(before.mode & 0o777)
        if (process.getuid?.() === 0) await file.chown(before.uid, before.gid)
        await pipeline(createReadStream(path), unsealing(ring, purpose), sealing(ring, purpose), writing(file))
        await file.sync()
      } finally {
        await file.close()
      }
      if (isSame(before, await stat(path))) {
        await rename(fresh, path)
        return await syncFolder(dirname(path))
      }
    } finally {
      await rm(fresh, { force: true })
    }
  }
  throw new InnkeeperError('conflict', `${basename(path)} is being written by another process`, {
    hint: 'Run it again; a gateway that writes it seals it with the key in use by itself.',
  })
}

const isSame = (a: Stats, b: Stats) => a.ino === b.ino && a.mtimeMs === b.mtimeMs && a.size === b.size

function writing(file: FileHandle) {
  return async (source: AsyncIterable<Buffer>): Promise<void> => {
    for await (const data of source) await file.writeFile(data)
  }
}

/** The rename itself must outlast a loss of power, or the old key would be wanted again. */
async function syncFolder(path: string): Promise<void> {
  const folder = await open(path, 'r')
  try {
    await folder.sync()
  } finally {
    await folder.close()
  }
}

async function readHead(path: string): Promise<SealedHead | null> {
  const file = await open(path, 'r')
  try {
    const { buffer, bytesRead } = await file.read(Buffer.alloc(HEAD_BYTES_MAX), 0, HEAD_BYTES_MAX, 0)
    return headOf(buffer.subarray(0, bytesRead))
  } finally {
    await file.close()
  }
}

/** What a process that was killed had begun; the file it was to replace is whole. */
async function removeUnfinished(path: string): Promise<void> {
  for await (const file of everyFile(path)) {
    const pid = UNFINISHED.exec(file)?.[1]
    if (pid !== undefined && (Number(pid) === process.pid || !isAlive(Number(pid)))) await rm(file, { force: true })
  }
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return true
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM'
  }
}

async function* filesUnder(path: string): AsyncGenerator<string> {
  for await (const file of everyFile(path)) if (!UNFINISHED.test(file)) yield file
}

/** Links are not followed: what is behind them is somebody else's. */
async function* everyFile(path: string): AsyncGenerator<string> {
  if (!(await stat(path)).isDirectory()) return yield path
  const entries = await readdir(path, { withFileTypes: true })
  entries.sort((a, b) => (a.name < b.name ? -1 : 1))
  for (const entry of entries) {
    const below = join(path, entry.name)
    if (entry.isDirectory()) yield* everyFile(below)
    else if (entry.isFile()) yield below
  }
}
