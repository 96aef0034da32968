import { readFileSync } from 'node:fs'

/**
 * How much of the processors' time the host gave to other machines, as a part of all, since it was last asked. Where much is
 * taken a bench says little about what it measures, and nothing else in it shows that.
 *
 * @returns NaN where the system does not tell (`steal` in Linux's `/proc/stat`)
 */
export function watchStolen(): () => number {
  let before = ticks()
  return () => {
    const now = ticks()
    const part = (now.stolen - before.stolen) / (now.all - before.all)
    before = now
    return part
  }
}

const STEAL = 7

function ticks(): { readonly stolen: number; readonly all: number } {
  try {
    const [line = ''] = readFileSync('/proc/stat', 'utf8').split('\n', 1)
    // What guests had is counted with the users'.
    const fields = line
      .trim()
      .split(/\s+/)
      .slice(1, STEAL + 2)
      .map(Number)
    return { stolen: fields[STEAL] ?? Number.NaN, all: fields.reduce((sum, n) => sum + n, 0) }
  } catch {
    return { stolen: Number.NaN, all: Number.NaN }
  }
}
