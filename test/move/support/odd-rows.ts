import { fileURLToPath } from 'node:url'
import type { RoomSession } from '../../../tiers/room/session.ts'

export const ODD_MIGRATIONS = fileURLToPath(new URL('./odd/', import.meta.url))
export const ODD_TABLES = ['odd', 'nodes', 'leaves', 'only_key', 'settings'] as const

type Rows = Record<string, unknown>[]
type Session = Pick<RoomSession, 'execute'>
export const runIn =
  (session: Session) =>
  async (text: string, params: unknown[] = []): Promise<Rows> =>
    (await session.execute({ text, params })).rows as Rows

/** Rows with the values that get lost elsewhere: specials, empty and missing, extremes, ids at and under nought. */
export async function fillOdd(session: RoomSession): Promise<void> {
  const run = runIn(session)
  const odd = (columns: string, values: string) => run(`insert into "{room}".odd (${columns}) values ${values}`)
  await odd(
    'amount, part, share, word, code',
    `('NaN', 1.50, 'NaN', '', ''), ('Infinity', 100, '-0', null, null), (1.10, 0, 1e-300, e'a\\tb\\n\\\\ \\"', 'ü')`,
  )
  await odd(
    'at, day, clock, since',
    `('infinity', '-infinity', '24:00', '1 mon -3 days 04:05:06.000007'), ('0044-03-15 12:00 BC', '5874897-12-31', '00:00:00.000001', '0')`,
  )
  await odd(
    'moods, mood, doc, raw_doc, span, spans',
    `('{calm,cross,null}', 'cross', '{"a": [1.0, null, "\\u00fc"]}', '{"b" : 1 , "b":2}', '[2020-01-01,)', '{[1,3),[7,9)}'), ('{}', null, 'null', '""', 'empty', '{}')`,
  )
  await odd(
    'blob, words, yes, address, bits, place, key, xml_doc, many, fixed',
    `('\\x00ff5c', 'a:1A b:2', false, '10.0.0.1/8', b'101', '(1.5,-2)', gen_random_uuid(), '<a>x</a>', '{{1,2},{3,null}}', 'ab')`,
  )
  await odd('word', `(repeat('large ', 400000))`)
  await run(`insert into "{room}".odd (id, word) overriding system value values (0, 'nought'), (-7, 'under')`)
  await run(`insert into "{room}".nodes (area, number, rank) values ('', 0, 1), ('a''b\\', -1, 2), ('Z', 1, 3)`)
  await run(
    `insert into "{room}".nodes (area, number, up_area, up_number, rank) values ('z', 1, 'Z', 1, 4), ('z', 2, 'z', 2, 5)`,
  )
  await run(`insert into "{room}".leaves (area, number) values ('Z', 1), ('z', 1), ('', 0)`)
  // Further from nought than a number of JavaScript's is exact. It goes with its node where nodes make way for each other.
  await run(`insert into "{room}".leaves (id, area, number) values (-9007199254740993, '', 0)`)
  await run(`update "{room}".nodes set leaf_id = (select min(id) from "{room}".leaves) where area = 'Z'`)
  await run(`insert into "{room}".only_key values (default, ''), (default, 'b')`)
  await run(`insert into "{room}".settings (theme) values ('dark')`)
}

/** Everything that the tenant sees, as text. */
export async function dump(session: Session): Promise<string[]> {
  const run = runIn(session)
  const lines: string[] = []
  for (const table of ODD_TABLES) {
    const rows = await run(
      `select md5(t::text) || ' ' || left(t::text, 300) as line from "{room}".${table} t order by 1`,
    )
    lines.push(...rows.map((r) => `${table} ${r.line}`))
  }
  return lines
}
