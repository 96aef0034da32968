import { z } from 'zod'

/** Kinds of field that are in several places of the schema. */

export const count = z.number().int().positive()

/** What a timer takes, and PostgreSQL: one that is given more is over at once. */
const MS_MAX = 2 ** 31 - 1
export const ms = count.max(MS_MAX, `is longer than ${MS_MAX} ms, which no timer can be`)

/** Paths are put behind it. */
export const baseUrl = z
  .string()
  .refine(isBaseUrl, 'write https://host or http://host, and no user, query or fragment: https://us.example.com')

function isBaseUrl(text: string): boolean {
  if (!URL.canParse(text)) return false
  const { protocol, username, password, search, hash } = new URL(text)
  return /^https?:$/.test(protocol) && username + password + search + hash === ''
}

export const hostName = z
  .string()
  .regex(/^[a-z0-9_]([a-z0-9_-]*[a-z0-9_])?(\.[a-z0-9_]([a-z0-9_-]*[a-z0-9_])?)*$/i, 'write a host name: example.com')

/** As browsers write it, since it is compared as it stands. */
export const origin = z
  .string()
  .refine(
    isOrigin,
    'write * or what browsers send: https://app.example.com, in lower case and without a slash at the end',
  )

function isOrigin(text: string): boolean {
  if (text === '*' || text === 'null') return true
  if (/^https?:/.test(text)) return !text.includes('*') && URL.canParse(text) && new URL(text).origin === text
  return /^[a-z][a-z0-9+.-]*:\/\/[^/\s]+$/.test(text)
}
