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

/** Turns a JavaScript value into a parameter's text or bytes, as the `pg` package does. */
export const prepareValue = (utils as { prepareValue: (value: unknown) => unknown }).prepareValue
