import { randomBytes } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { type FileHandle, mkdir, open, rename, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import type { KeyRing } from '../ring/key-ring.ts'
import { headOf, sealing, unseal } from '../ring/sealed.ts'
import type { Tenant, TenantId } from '../types.ts'

/** What a gateway knew: routing facts only, as the directory itself holds no others. */
export type SnapshotEntry =
  | { readonly tenant: Tenant; readonly loadedAtMs: number }
  | { readonly domain: string; readonly id: TenantId; readonly loadedAtMs: number }

export interface Left {
  readonly entries: readonly SnapshotEntry[]
  /** Whether the file is sealed with the key in use. */
  readonly isCurrent: boolean
}

export interface Snapshot {
  /**
   * What the last process left; nothing where it left none.
   * @throws InnkeeperError for a file that is not whole or not this region's, or whose key is not in the ring
   */
  read(): Left
  /** Replaces the file in one step, readable by its owner only. */
  write(entries: Iterable<SnapshotEntry>): Promise<void>
}

/** How many entries are written before others have a turn: a large directory must not hold up requests. */
const TURN = 500

/**
 * A file of what the directory's caches hold, so that a gateway which starts while the control database is down serves
 * the tenants that it served before. One entry a line, sealed with the region's ring: who has the disk does not learn
 * whose customers the tenants are, and a file that is torn or was written by somebody else is not believed.
 */
export function directorySnapshot(folder: string, ring: KeyRing): Snapshot {
  const path = join(folder, `directory-${ring.region}.sealed`)
  return {
    read() {
      const sealed = bytesOf(path)
      if (sealed === null) return { entries: [], isCurrent: true }
      const lines = unseal(ring, 'directory', sealed).toString().split('\n').slice(0, -1)
      return {
        entries: lines.map((line) => JSON.parse(line) as SnapshotEntry),
        isCurrent: headOf(sealed)!.keyId === ring.currentId,
      }
    },
    async write(entries) {
      await mkdir(folder, { recursive: true, mode: 0o700 })
      const temporary = `${path}.${process.pid}.${randomBytes(4).toString('hex')}.tmp`
      try {
        const file = await open(temporary, 'wx', 0o600)
        try {
          await pipeline(Readable.from(turns(entries)), sealing(ring, 'directory'), (source) => writeAll(file, source))
          await file.sync()
        } finally {
          await file.close()
        }
        await rename(temporary, path)
      } catch (error) {
        await rm(temporary, { force: true })
        throw error
      }
    },
  }
}

async function writeAll(file: FileHandle, source: AsyncIterable<Buffer>): Promise<void> {
  for await (const data of source) await file.writeFile(data)
}

function* turns(entries: Iterable<SnapshotEntry>): Generator<Buffer> {
  let lines = ''
  let count = 0
  for (const entry of entries) {
    lines += `${JSON.stringify(entry)}\n`
    if (++count % TURN !== 0) continue
    yield Buffer.from(lines)
    lines = ''
  }
  if (lines !== '') yield Buffer.from(lines)
}

function bytesOf(path: string): Buffer | null {
  try {
    return readFileSync(path)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return null
    throw error
  }
}
