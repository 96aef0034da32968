import type { Duplex } from 'node:stream'

/** The `pg` package connects what it is given by itself: here a stream that is connected already. */
export function asDialled(stream: Duplex): Duplex {
  return Object.assign(stream, {
    connect() {
      // One that has died meanwhile has said so already, when nobody listened.
      process.nextTick(() => stream.emit(stream.destroyed ? 'close' : 'connect'))
      return stream
    },
  })
}
