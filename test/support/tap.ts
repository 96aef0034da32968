import type { AddressInfo } from 'node:net'
import { connect, createServer, type Socket } from 'node:net'

/**
 * What a tap does with connections: pass everything on, take them and say nothing, cut each at once, pass requests on but
 * close its own half before the answer, or cut the answer after so many bytes.
 */
export type TapMode = 'pass' | 'hang' | 'cut' | 'half-close' | { readonly cutAnswerAfterBytes: number }

/** A TCP proxy that keeps what clients sent through it, and can be told to misbehave. */
export interface Tap {
  readonly port: number
  readonly url: string
  mode: TapMode
  /** Where connections go; refused while null. */
  target: number | null
  /** Everything that clients sent, while `isRecording`. */
  readonly sent: Buffer[]
  isRecording: boolean
  /** What went through while recording, in either direction: one of each connection and direction, in its order. */
  recorded(): Buffer[]
  /** Bytes of answers that came through. */
  answered: number
  /** Connections made so far, and those that are open. */
  readonly connections: () => { readonly made: number; readonly open: number }
  cutAll(): void
  /** Connections are refused until {@link listenAgain}. */
  stopListening(): Promise<void>
  listenAgain(port: number): Promise<void>
  close(): Promise<void>
}

export async function startTap(): Promise<Tap> {
  const open = new Set<Socket>()
  const streams: Buffer[][] = []
  const record = (from: Socket) => {
    const stream: Buffer[] = []
    streams.push(stream)
    from.on('data', (chunk: Buffer) => stream.push(chunk))
  }
  let made = 0
  const server = createServer({ allowHalfOpen: true }, (client) => {
    made++
    open.add(client)
    client.on('error', () => client.destroy())
    client.on('close', () => open.delete(client))
    if (tap.target === null || tap.mode === 'cut') return void client.destroy()
    if (tap.isRecording) {
      client.on('data', (chunk) => tap.sent.push(chunk))
      record(client)
    }
    if (tap.mode === 'hang') return void client.resume()
    const peer = connect({ port: tap.target, host: '127.0.0.1', allowHalfOpen: true })
    peer.on('error', () => client.destroy())
    client.on('close', () => peer.destroy())
    peer.on('close', () => client.destroy())
    if (tap.isRecording) record(peer)
    client.pipe(peer)
    peer.on('data', (chunk) => {
      tap.answered += chunk.length
    })
    if (tap.mode === 'half-close') {
      peer.resume()
      client.once('data', () => setTimeout(() => client.end(), 20))
    } else if (typeof tap.mode === 'object') cutAfter(peer, client, tap.mode.cutAnswerAfterBytes)
    else peer.pipe(client)
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as AddressInfo
  const tap: Tap = {
    port,
    url: `http://127.0.0.1:${port}`,
    mode: 'pass',
    target: null,
    sent: [],
    isRecording: false,
    recorded: () => streams.map((chunks) => Buffer.concat(chunks)),
    answered: 0,
    connections: () => ({ made, open: open.size }),
    cutAll() {
      for (const socket of open) socket.destroy()
    },
    async stopListening() {
      tap.cutAll()
      await new Promise<void>((resolve) => server.close(() => resolve()))
    },
    listenAgain: (at) => new Promise<void>((resolve) => server.listen(at, '127.0.0.1', resolve)),
    async close() {
      for (const socket of open) socket.destroy()
      await new Promise<void>((resolve) => server.close(() => resolve()))
    },
  }
  return tap
}

function cutAfter(from: Socket, to: Socket, bytes: number): void {
  let left = bytes
  from.on('data', (chunk) => {
    if (left <= 0) return
    to.write(chunk.subarray(0, left))
    left -= chunk.length
    if (left <= 0) to.destroySoon()
  })
}
