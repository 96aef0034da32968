import { RestError } from '../errors.ts'

export interface Preferences {
  readonly return: 'minimal' | 'headers-only' | 'representation' | null
  readonly count: 'exact' | 'planned' | 'estimated' | null
  readonly resolution: 'merge-duplicates' | 'ignore-duplicates' | null
  readonly missing: 'default' | 'null' | null
  readonly handling: 'strict' | 'lenient' | null
  /** Honoured together with `handling=strict` only. */
  readonly maxAffected: number | null
}

const CHOICES = {
  return: ['minimal', 'headers-only', 'representation'],
  count: ['exact', 'planned', 'estimated'],
  resolution: ['merge-duplicates', 'ignore-duplicates'],
  missing: ['default', 'null'],
  handling: ['strict', 'lenient'],
} as const

const NONE: Preferences = Object.freeze({
  return: null,
  count: null,
  resolution: null,
  missing: null,
  handling: null,
  maxAffected: null,
})

/**
 * Reads the `Prefer` header (RFC 7240). The first mention of a preference wins; unknown ones are ignored, unless
 * `handling=strict` is among them.
 *
 * @throws RestError PGRST122 when the handling is strict and something was not understood
 */
export function parsePrefer(header: string | undefined): Preferences {
  if (header === undefined) return NONE
  const found: Record<string, string | number> = {}
  const unknown: string[] = []
  for (const part of header.split(',')) {
    const text = part.trim()
    if (text === '') continue
    const [name = '', value = ''] = text.split('=', 2)
    if (!accept(found, name.trim().toLowerCase(), value.trim())) unknown.push(text)
  }
  if (found.handling === 'strict' && unknown.length > 0) {
    const details = `Invalid preferences: ${unknown.join(', ')}`
    throw new RestError(400, 'PGRST122', 'Invalid preferences given with handling=strict', details)
  }
  return { ...NONE, ...found }
}

function accept(found: Record<string, string | number>, name: string, value: string): boolean {
  if (name === 'max-affected') {
    const rows = Number(value)
    if (value === '' || !Number.isSafeInteger(rows) || rows < 0) return false
    found.maxAffected ??= rows
    return true
  }
  if (!Object.hasOwn(CHOICES, name)) return false
  const choices: readonly string[] = CHOICES[name as keyof typeof CHOICES]
  if (!choices.includes(value)) return false
  found[name] ??= value
  return true
}

/** The `Preference-Applied` header for those of the preferences that mattered to this kind of request. */
export function appliedPreferences(preferences: Preferences, relevant: readonly (keyof Preferences)[]): string | null {
  const applied = relevant.flatMap((name) => {
    const value = preferences[name]
    if (value === null) return []
    return name === 'maxAffected' ? `max-affected=${value}` : `${name}=${value}`
  })
  return applied.length === 0 ? null : applied.join(', ')
}
