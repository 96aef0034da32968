import { setTimeout as sleep } from 'node:timers/promises'
import type { ClusterConfig } from '../../config/index.ts'
import { NoAnswer, within } from '../cache/within.ts'
import { adminServerOf } from '../pg/server.ts'
import { type MoverClient, openMoverClient } from './mover-client.ts'

/**
 * Watches over servers that a mover works on. A statement of a move's may rightly take minutes, so its silence says nothing;
 * and a network that drops what is sent tells nobody: TCP goes on trying for a quarter of an hour. So each server is asked
 * for next to nothing, over and over, on a connection of its own, whatever number of moves there are.
 */
export interface Vigil {
  /** @param onSilent called when the server has not answered in time, and each time again. @returns ends it */
  over(cluster: string, onSilent: () => void): () => void
}

export interface VigilOptions {
  clusterOf(cluster: string): ClusterConfig
  /** How long an answer may take, in milliseconds. */
  readonly silentMs: number
}

export function createVigil({ clusterOf, silentMs }: VigilOptions): Vigil {
  const watched = new Map<string, Set<() => void>>()

  const open = async (name: string): Promise<MoverClient> => {
    const opening = openMoverClient({
      ...adminServerOf(clusterOf(name)),
      database: 'postgres',
      applicationName: 'innkeeper-vigil',
    })
    return within(opening, silentMs).catch((error: unknown) => {
      opening.then(
        (client) => client.cut(),
        () => {},
      )
      throw error
    })
  }
  const watch = async (name: string, watchers: Set<() => void>) => {
    let client: MoverClient | null = null
    while (watchers.size > 0) {
      try {
        client ??= await open(name)
        await within(client.query('select'), silentMs)
      } catch (error) {
        client?.cut()
        client = null
        // A server that refuses or is gone has told the others too.
        if (error instanceof NoAnswer) for (const tell of [...watchers]) tell()
      }
      await sleep(silentMs / 2, undefined, { ref: false })
    }
    if (watched.get(name) === watchers) watched.delete(name)
    await client?.close()
  }

  return {
    over(cluster, onSilent) {
      let watchers = watched.get(cluster)
      const isNew = watchers === undefined || watchers.size === 0
      if (watchers === undefined || isNew) {
        watchers = new Set()
        watched.set(cluster, watchers)
      }
      watchers.add(onSilent)
      if (isNew) void watch(cluster, watchers)
      const mine = watchers
      return () => void mine.delete(onSilent)
    },
  }
}
