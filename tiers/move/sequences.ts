import { quoteLiteral } from '../quote.ts'
import { OWNER } from '../tenancy/roles.ts'
import type { RoomSequence } from './catalogue.ts'
import { beginBooks, type Side } from './side.ts'

/**
 * Lets ids continue where the source's sequences are, so that no id is given twice. In a room of the tenant's own the value
 * is simply set. In the pool others draw from the same sequence: it is only ever raised, under a lock that keeps nextval
 * out, because the greater of two values read without one runs backwards.
 *
 * To be called when the source is fenced: nobody draws an id there any more.
 */
export async function continueSequences(source: Side, target: Side, sequences: readonly RoomSequence[]): Promise<void> {
  if (sequences.length === 0) return
  const [from, to] = await Promise.all([source.client(), target.client()])
  const [values, there] = await Promise.all([valuesOf(from, source, sequences), valuesOf(to, target, sequences)])
  const behind = sequences.filter((s) => isBehind(values.get(s.name)!, there.get(s.name)!))
  if (behind.length === 0) return
  const isShared = target.placement.isolation === 'shared'
  // Not waited for on its own: the room is opened at the same server, later and durably.
  await to.atomically(`${beginBooks(target)} set local role ${OWNER}; set local synchronous_commit = off;
    ${behind
      .map(({ name, cache }) => {
        const sequence = target.table(name)
        const { last, called } = values.get(name)!
        const set = `setval(${quoteLiteral(sequence)}, greatest(${last}, last_value), ${called} or is_called)`
        // Changes nothing but takes the lock that nextval waits for.
        return `${isShared ? `alter sequence ${sequence} cache ${cache};` : ''} select ${set} from ${sequence};`
      })
      .join('\n')}
    commit`)
}

export interface SequenceValue {
  readonly last: string
  readonly called: boolean
}

export async function valuesOf(
  client: Awaited<ReturnType<Side['client']>>,
  side: Side,
  sequences: readonly RoomSequence[],
): Promise<Map<string, SequenceValue>> {
  const rows = await client.query<{ name: string; last: string; called: boolean }>(
    sequences
      .map(
        ({ name }) =>
          `select ${quoteLiteral(name)} as name, last_value::text as last, is_called as called from ${side.table(name)}`,
      )
      .join(' union all '),
  )
  return new Map(rows.map((r) => [r.name, r]))
}

function isBehind(source: SequenceValue, target: SequenceValue): boolean {
  const [here, there] = [BigInt(source.last), BigInt(target.last)]
  return here > there || (here === there && source.called && !target.called)
}
