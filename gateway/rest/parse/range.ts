import { badRange } from '../errors.ts'

/** Rows to skip, and how many to send; a null limit leaves it to the tier's ceiling. */
export interface Window {
  readonly offset: number
  readonly limit: number | null
}

const WHOLE: Window = Object.freeze({ offset: 0, limit: null })

/**
 * Reads `Range: 0-9` (or `10-`) in the unit `items`. Another unit, and what cannot be read, is ignored as RFC 9110 says.
 *
 * @throws RestError PGRST103 when the range ends before it begins
 */
export function parseRange(header: string | undefined, unit: string | undefined): Window {
  if (header === undefined || (unit !== undefined && unit !== 'items')) return WHOLE
  const match = /^(?:items=)?(\d{1,15})-(\d{1,15})?$/.exec(header.trim())
  if (match === null) return WHOLE
  const first = Number(match[1])
  if (match[2] === undefined) return { offset: first, limit: null }
  const last = Number(match[2])
  if (last < first)
    throw badRange('The lower boundary must be lower than or equal to the upper boundary in the Range header.')
  return { offset: first, limit: last - first + 1 }
}
