import { InvalidArgumentError } from 'commander'

/** Readers of option values: each refuses what it cannot be, in words that commander puts behind the option's name. */

export function port(text: string): number {
  const value = Number(text)
  if (/^\d+$/.test(text) && value <= 65_535) return value
  throw new InvalidArgumentError('Give a port: a number from 0 (any free one) to 65535.')
}

export function count(text: string): number {
  const value = Number(text)
  if (/^\d+$/.test(text) && value > 0 && Number.isSafeInteger(value)) return value
  throw new InvalidArgumentError('Give a whole number from 1.')
}

/** For an option that may be given several times. */
export function collect(text: string, before: readonly string[] = []): readonly string[] {
  return [...before, text]
}
