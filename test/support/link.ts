import { connect, createServer, type Socket } from 'node:net'

/**
 * What a network does to the connections that go through it:
 * - `pass`: nothing.
 * - `hold`: nothing arrives, and all of it does when the network passes again; as in an outage that TCP outlives.
 * - `late`: what the client says arrives, the server's answers do when the network passes again.
 * - `drop`: nothing arrives any more and nobody is told, now or later; as behind a firewall that forgot the connection.
 * - `mute`: what the client says arrives, the server's answers do not, now or later.
 * - `reset`: connections end, and new ones are refused.
 */
export type LinkMode = 'pass' | 'hold' | 'late' | 'drop' | 'mute' | 'reset'

/** A network of our own between clients and one server. */
export interface Link {
  readonly port: number
  /** The URL with this network's port for the server's. */
  through(url: string): string
  set(mode: LinkMode): void
  close(): Promise<void>
}

interface Pair {
  readonly near: Socket
  readonly far: Socket
  /** It was dropped or muted, and does not come to life again. */
  lost: 'drop' | 'mute' | null
}

/** Opens a network in this process, that passes everything on until told otherwise. */
export async function openLink(port: number): Promise<Link> {
  const pairs = new Set<Pair>()
  let mode: LinkMode = 'pass'
  const isHeld = (isAnswer: boolean) => mode === 'hold' || (mode === 'late' && isAnswer)

  const server = createServer((near) => {
    if (mode === 'reset') {
      near.resetAndDestroy()
      return
    }
    const pair: Pair = { near, far: connect(port, '127.0.0.1'), lost: null }
    pairs.add(pair)
    for (const [from, to] of [
      [pair.near, pair.far],
      [pair.far, pair.near],
    ] as const) {
      from.setNoDelay(true)
      from.on('data', (chunk) => {
        if (pair.lost === 'drop' || (pair.lost === 'mute' && from === pair.far)) return
        if (!to.write(chunk)) {
          from.pause()
          to.once('drain', () => isHeld(from === pair.far) || from.resume())
        }
      })
      from.on('error', () => {})
      from.on('close', () => {
        // An end is news as well: it does not get through where nothing does.
        if (pair.lost === null) to.destroy()
        else if (from === pair.near) pair.far.destroy()
        if (pair.near.destroyed) pairs.delete(pair)
      })
    }
    apply(pair)
  })
  const apply = (pair: Pair) => {
    if (mode === 'reset') {
      pair.near.resetAndDestroy()
      pair.far.resetAndDestroy()
      return
    }
    if (mode === 'drop' || mode === 'mute') pair.lost = mode
    for (const socket of [pair.near, pair.far]) {
      if (isHeld(socket === pair.far)) socket.pause()
      else socket.resume()
    }
  }
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const own = (server.address() as { port: number }).port
  return {
    port: own,
    through(url) {
      const led = new URL(url)
      led.port = String(own)
      return led.href
    },
    set(to) {
      mode = to
      for (const pair of pairs) apply(pair)
    },
    async close() {
      for (const { near, far } of pairs) {
        near.destroy()
        far.destroy()
      }
      await new Promise((resolve) => server.close(resolve))
    },
  }
}
