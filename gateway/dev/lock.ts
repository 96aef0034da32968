import { open, readFile, rm } from 'node:fs/promises'
import { join } from 'node:path'

/**
 * Makes this process the only one that runs on a state folder.
 *
 * @returns gives the folder free again
 * @throws Error naming the process that has it
 */
export async function takeState(state: string): Promise<() => Promise<void>> {
  const path = join(state, 'dev.pid')
  for (let attempt = 0; attempt < 3; attempt++) {
    try {
      const file = await open(path, 'wx', 0o600)
      await file.writeFile(`${process.pid}\n`)
      await file.close()
      return () => rm(path, { force: true })
    } catch (error) {
      if ((error as { code?: string }).code !== 'EEXIST') throw error
    }
    const pid = Number((await readFile(path, 'utf8')).trim())
    if (pid > 0 && pid !== process.pid && isRunning(pid)) {
      throw new Error(`Innkeeper already runs on ${state} (process ${pid}). Stop it, or use another --state folder.`)
    }
    // A killed start left it.
    await rm(path, { force: true })
  }
  throw new Error(`The state folder ${state} is being taken by other starts.`)
}

function isRunning(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return true
  } catch (error) {
    return (error as { code?: string }).code === 'EPERM'
  }
}
