import type { Duplex } from 'node:stream'

/** How long what was said before an end may take to arrive. */
const LAST_WORDS_MS = 5_000

/**
 * Passes bytes on between two streams, both ways, no faster than the slower one takes them. What one end has said before it
 * ended is passed on; where it was cut off, so is the other.
 */
export function join(one: Duplex, other: Duplex): void {
  const cut = () => {
    one.destroy()
    other.destroy()
  }
  for (const [from, to] of [
    [one, other],
    [other, one],
  ] as const) {
    from.pipe(to)
    from.once('end', () => {
      const timer = setTimeout(cut, LAST_WORDS_MS)
      to.once('close', () => clearTimeout(timer))
    })
    from.once('error', cut)
    from.once('close', () => {
      if (!from.readableEnded) cut()
    })
  }
}
