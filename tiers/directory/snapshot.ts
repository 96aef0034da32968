import { createHmac, hkdfSync, randomBytes, timingSafeEqual } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { mkdir, open, rename, rm } from 'node:fs/promises'
import { join } from 'node:path'
import type { Tenant, TenantId } from '../types.ts'

/** What a gateway knew: routing facts only, as the directory itself holds no others. */
export type SnapshotEntry =
  | { readonly tenant: Tenant; readonly loadedAtMs: number }
  | { readonly domain: string; readonly id: TenantId; readonly loadedAtMs: number }

export interface Snapshot {
  /** What the last process left; nothing where it left none, or one that is not whole or not this region's. */
  read(): SnapshotEntry[]
  /** Replaces the file in one step, readable by its owner only. */
  write(entries: Iterable<SnapshotEntry>): Promise<void>
}

const HEAD = 'innkeeper-directory 1'
/** How many entries are written before others have a turn: a large directory must not hold up requests. */
const TURN = 500

/**
 * A file of what the directory's caches hold, so that a gateway which starts while the control database is down serves
 * the tenants that it served before. One entry a line; the last line signs all of them with the region's key, so that a
 * file that is torn or was written by somebody else is not believed.
 */
export function directorySnapshot(folder: string, region: string, regionKey: Buffer): Snapshot {
  const path = join(folder, `directory-${region}.ndjson`)
  const macKey = Buffer.from(hkdfSync('sha256', regionKey, 'innkeeper', 'directory snapshot', 32))
  const signing = () => createHmac('sha256', macKey).update(`${HEAD}\n`)

  return {
    read() {
      const text = textOf(path)
      const end = text.lastIndexOf('\n', text.length - 2)
      const [head, ...lines] = text.slice(0, end).split('\n')
      if (head !== HEAD) return []
      const mac = signing()
      for (const line of lines) mac.update(`${line}\n`)
      if (!same(text.slice(end + 1, -1), mac.digest('base64url'))) return []
      return lines.map((line) => JSON.parse(line) as SnapshotEntry)
    },
    async write(entries) {
      await mkdir(folder, { recursive: true, mode: 0o700 })
      const temporary = `${path}.${process.pid}.${randomBytes(4).toString('hex')}.tmp`
      try {
        const file = await open(temporary, 'wx', 0o600)
        try {
          const mac = signing()
          await file.write(`${HEAD}\n`)
          for (const lines of turns(entries)) {
            mac.update(lines)
            await file.write(lines)
          }
          await file.write(`${mac.digest('base64url')}\n`)
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

function* turns(entries: Iterable<SnapshotEntry>): Generator<string> {
  let lines = ''
  let count = 0
  for (const entry of entries) {
    lines += `${JSON.stringify(entry)}\n`
    if (++count % TURN !== 0) continue
    yield lines
    lines = ''
  }
  if (lines !== '') yield lines
}

function textOf(path: string): string {
  try {
    return readFileSync(path, 'utf8')
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return ''
    throw error
  }
}

function same(a: string, b: string): boolean {
  const [left, right] = [Buffer.from(a), Buffer.from(b)]
  return left.length === right.length && timingSafeEqual(left, right)
}
