import { quoteLiteral } from '../quote.ts'
import { OWNER } from '../tenancy/roles.ts'
import type { RoomSequence } from './catalogue.ts'
import { beginBooks, type Side } from './side.ts'

export interface SequenceValue {
  readonly last: string
  readonly called: boolean
}

/**
 * Lets ids continue where the source's sequences are, so that no id is given twice. In a room of the tenant's own the value
 * is simply set. In the pool others draw from the same sequence: it is only ever raised, under a lock that keeps nextval
 * out, because the greater of two values read without one runs backwards.
 *
 * @param values of the source
 * @returns statements for a transaction of the mover's at the target; nothing is changed where the target is as far
 */
export function continuing(
  target: Side,
  sequences: readonly RoomSequence[],
  values: ReadonlyMap<string, SequenceValue>,
): string {
  const statements = sequences.map(({ name, cache }) => {
    const sequence = target.table(name)
    const { last, called } = values.get(name)!
    const isBehind = `(last_value, is_called) < (${last}::bigint, ${called})`
    const set = `setval(${quoteLiteral(sequence)}, greatest(${last}, last_value), ${called} or is_called)`
    if (target.placement.isolation !== 'shared') return `select ${set} from ${sequence} where ${isBehind};`
    // ALTER changes nothing, but takes the lock that nextval waits for.
    const raise = `begin if (select ${isBehind} from ${sequence}) then alter sequence ${sequence} cache ${cache};
      perform ${set} from ${sequence}; end if; end`
    return `do ${quoteLiteral(raise)};`
  })
  return `set local role ${OWNER}; ${statements.join('\n')} reset role;`
}

/** For good when the source is fenced; before that, as far as they are. @returns the values that the target has now at least */
export async function continueSequences(
  source: Side,
  target: Side,
  sequences: readonly RoomSequence[],
): Promise<Map<string, SequenceValue>> {
  if (sequences.length === 0) return new Map()
  const [from, to] = await Promise.all([source.client(), target.client()])
  const values = await valuesOf(from, source, sequences)
  // Not waited for on its own: the room is opened at the same server, later and durably.
  await to.atomically(`${beginBooks(target)} set local synchronous_commit = off;
    ${continuing(target, sequences, values)} commit`)
  return values
}

export async function valuesOf(
  client: Awaited<ReturnType<Side['client']>>,
  side: Side,
  sequences: readonly RoomSequence[],
): Promise<Map<string, SequenceValue>> {
  const rows = await client.query<{ name: string; last: string; called: boolean }>(valuesQuery(side, sequences))
  return new Map(rows.map((r) => [r.name, r]))
}

/** Of its name, its last value and whether that was given out. */
export function valuesQuery(side: Side, sequences: readonly RoomSequence[]): string {
  return sequences
    .map(
      ({ name }) =>
        `select ${quoteLiteral(name)} as name, last_value::text as last, is_called as called from ${side.table(name)}`,
    )
    .join(' union all ')
}
