import pg from 'pg'
import utils from 'pg/lib/utils.js'

/** Gives the function that turns a value's text into a JavaScript value, by the type's OID. */
export type ParserSet = (oid: number, format: 'text') => (text: string) => unknown

const asText = (text: string) => text
// Drizzle's columns decode these from text themselves: date, time, timestamp, interval, numeric and their arrays.
const DRIZZLE_TEXT = new Set([1082, 1114, 1184, 1186, 1115, 1182, 1185, 1187, 1231])

/** As the `pg` package reads values. */
export const standardParsers: ParserSet = (oid) => pg.types.getTypeParser(oid, 'text') as (text: string) => unknown

/** As Drizzle's PostgreSQL columns expect them. */
export const drizzleParsers: ParserSet = (oid) => (DRIZZLE_TEXT.has(oid) ? asText : standardParsers(oid, 'text'))

/** A parameter as it travels: text, or bytes in binary format, or null. */
export type WireValue = string | Buffer | null

const { prepareValue } = utils as { prepareValue(value: unknown): WireValue }

/**
 * Turns JavaScript values into parameters, as the `pg` package does; those that are parameters already stay what they are.
 * @throws what a value's own conversion throws, such as TypeError for a circular object
 */
export function wireValues(values: readonly unknown[]): readonly WireValue[] {
  return values.map((value) => (typeof value === 'string' ? value : prepareValue(value)))
}
