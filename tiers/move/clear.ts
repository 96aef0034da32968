import { quoteIdent } from '../quote.ts'
import { OWNER } from '../tenancy/roles.ts'
import type { RoomTable } from './catalogue.ts'
import type { MoveContext } from './context.ts'
import { closeRoom, inBooks } from './fence.ts'
import { isThere } from './generation.ts'
import { removeInPool } from './merge.ts'
import type { MoverClient } from './mover-client.ts'
import { hasWaitingRoom, isConsiderate, waitingRoom } from './pool.ts'
import { after, boundary, upTo } from './ranges.ts'
import { AS_MOVER, beginWrite, type Side } from './side.ts'

const PIECE_ROWS = 40_000

/**
 * Removes a room that the tenant does not live in: its rows or its schema or its database, its fence and its notes. The move
 * is still known there. Idempotent, also where a part of it is gone.
 */
export async function clearRoom(ctx: MoveContext, side: Side): Promise<void> {
  const maker = ctx.makerOf(side.placement.cluster)
  const { isolation } = side.placement
  if (!(await isThere(maker, side))) {
    await side.close()
    if (isolation === 'database') await maker.removeRoom(side.tenant, side.placement)
    return
  }
  await closeRoom(side)
  await ctx.hook('condemned')
  if (isolation === 'database') {
    // No transaction can hold a generation and remove its own database. But nothing leads from here back into that room,
    // and its name, being its epoch's, is never used again: removing it late removes nothing else.
    await inBooks(side, 'select')
    await side.close()
    await maker.removeRoom(side.tenant, side.placement)
    return
  }
  if (isolation === 'shared') await removeRows(ctx, side)
  else await removeSchema(side)
  await inBooks(
    side,
    `delete from tenancy.notes where tenant_id = '${side.tenant}'; delete from tenancy.fence where tenant_id = '${side.tenant}'${
      isolation === 'schema' ? `; delete from tenancy.room_parts where room = '${side.placement.schema}'` : ''
    }`,
  )
}

/** In one transaction with the generation: the tenant may live in another schema of the same database by now. */
async function removeSchema(side: Side): Promise<void> {
  const { schema } = side.placement
  await inBooks(
    side,
    `drop schema if exists ${quoteIdent(schema)} cascade; delete from tenancy.migrations where room = '${schema}'`,
  )
}

async function removeRows(ctx: MoveContext, side: Side): Promise<void> {
  const client = await side.client()
  if (await hasWaitingRoom(client, side)) {
    await inBooks(side, `set local role ${OWNER}; drop schema ${waitingRoom(side)} cascade; reset role`)
  }
  const tables = await ctx.tables()
  if (await isConsiderate(side))
    return removeInPool(
      side,
      tables.map((t) => t.name),
    )
  for (const table of tables) {
    const inPieces = ctx.pacer.pieces()
    let last: readonly string[] | null = null
    do {
      ctx.signal.throwIfAborted()
      last = await inPieces((part) => removePiece(client, side, table, last, Math.ceil(part * PIECE_ROWS)))
    } while (last !== null)
  }
}

/** @param last what the piece before returned: the key of its last row. Null before the first, and after the last */
function removePiece(client: MoverClient, side: Side, table: RoomTable, last: readonly string[] | null, rows: number) {
  return client.transaction(beginWrite(side), async () => {
    await client.script(AS_MOVER)
    const bounds = [`tenant_id = '${side.tenant}'`, ...(last === null ? [] : [after(table, last)])]
    const end = await boundary(client, side, table, bounds, rows)
    const chosen = [...bounds, ...(end === null ? [] : [upTo(table, end)])].join(' and ')
    await client.script(`delete from ${side.table(table.name)} where ${chosen}; reset role`)
    return end
  })
}
