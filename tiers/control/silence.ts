import type { Vigil } from '../move/vigil.ts'

/** Does work on a cluster, and has it fail where the cluster says nothing any more. */
export type Watched = <T>(cluster: string, work: () => Promise<T>) => Promise<T>

/**
 * Making a room may rightly take minutes; but a server that stands still, or a network that drops what is sent, would keep the
 * work for as long as TCP goes on trying, and with it the turn that is held for it: there are so many of them for all tenants.
 *
 * @param afterMs how long work may take before its cluster is watched: most ends before
 * @param renew   ends all connections to a cluster, so that what waits there fails
 */
export function watchedBy(vigil: Vigil, afterMs: number, renew: (cluster: string) => void): Watched {
  return async (cluster, work) => {
    let end = () => {}
    const timer = setTimeout(() => {
      end = vigil.over(cluster, () => renew(cluster))
    }, afterMs)
    try {
      return await work()
    } finally {
      clearTimeout(timer)
      end()
    }
  }
}

/** The same object, each of whose functions is watched. */
export function watchedAll<T extends object>(
  watched: Watched,
  cluster: string,
  target: T,
  names = Object.keys(target),
): T {
  const functions = names.map((name) => {
    const call = target[name as keyof T] as (...args: unknown[]) => Promise<unknown>
    return [name, (...args: unknown[]) => watched(cluster, () => call(...args))]
  })
  return { ...target, ...Object.fromEntries(functions) }
}
