import { watch } from 'node:fs'
import { isProductFile } from '../product.ts'

const SETTLE_MS = 150

/**
 * Calls back after a file of a product's folder has changed: once for a burst of changes, and never while the last call
 * is still at work.
 *
 * @returns ends the watch, and waits for a call that is at work
 */
export function watchProduct(folder: string, onChange: () => Promise<void>): () => Promise<void> {
  let timer: NodeJS.Timeout | null = null
  let working: Promise<void> = Promise.resolve()
  const watcher = watch(folder, { recursive: true }, (_event, name) => {
    if (name === null || !isProductFile(name)) return
    if (timer !== null) clearTimeout(timer)
    timer = setTimeout(() => {
      working = working.then(onChange)
    }, SETTLE_MS)
  })
  // A folder that is taken away while it is watched ends the watch, not the system.
  watcher.on('error', () => watcher.close())
  return async () => {
    watcher.close()
    if (timer !== null) clearTimeout(timer)
    await working
  }
}
