import { realpath, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { homesOf } from './place.ts'
import { readPidFile, stopPostmaster } from './process.ts'

/** Removes a server's folder, for a reset: it is stopped first, and data that had to be put elsewhere goes as well. */
export async function removeLocalPostgres(dataDir: string): Promise<void> {
  const path = await realpath(dataDir).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return null
    throw error
  })
  if (path === null) return
  for (const home of await homesOf(path)) {
    const data = join(home, 'data')
    const running = await readPidFile(data)
    if (running !== null) await stopPostmaster(running.pid, data, 'immediate')
    await rm(home, { recursive: true, force: true, maxRetries: 10 })
  }
  await rm(path, { recursive: true, force: true })
}
