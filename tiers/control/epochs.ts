import type postgres from 'postgres'
import { within } from '../cache/within.ts'
import { InnkeeperError } from '../errors.ts'
import type { RoomMaker } from '../rooms/maker.ts'
import { SCHEMAS_DATABASE, SHARED_DATABASE } from '../rooms/naming.ts'

/** The counter's part of an epoch; what is above it is the incarnation of the control database. */
export const COUNTER_BITS = 32

export const incarnationOf = (epoch: number): number => Math.floor(epoch / 2 ** COUNTER_BITS)

/** The highest epoch that the control database has given out. To be asked for after the marks that it is compared with. */
export async function lastEpoch(sql: postgres.Sql): Promise<number> {
  const [row] = await sql<{ epoch: number }[]>`select last_epoch()::float8 as epoch`
  return row!.epoch
}

/**
 * Compares what a data database has heard of with what was given out.
 *
 * @throws InnkeeperError `conflict` where the control database is an older copy of itself
 */
export async function assertCurrent(sql: postgres.Sql, place: string, mark: number | null): Promise<void> {
  if (mark === null) return
  const last = await lastEpoch(sql)
  if (mark <= last) return
  throw new InnkeeperError('conflict', 'The control database is older than the data: it was restored from a backup', {
    details: `${place} has heard of epoch ${mark}, and the last one given out is ${last}`,
    hint: 'Run: innkeeper control new-incarnation. Until then no tenant is made or moved.',
  })
}

const ANSWER_MS = 2_000

/** Of the databases that many tenants of a cluster share. A cluster that does not answer says nothing here. */
export async function assertCurrentClusters(sql: postgres.Sql, makers: readonly RoomMaker[]): Promise<void> {
  await Promise.all(
    makers.flatMap((maker) =>
      [SHARED_DATABASE, SCHEMAS_DATABASE].map(async (database) => {
        const mark = await within(maker.epochMark(database), ANSWER_MS).catch(() => null)
        await assertCurrent(sql, `${maker.cluster}/${database}`, mark)
      }),
    ),
  )
}
