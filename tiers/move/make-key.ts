import { quoteIdent, quoteLiteral } from '../quote.ts'
import { OWNER } from '../tenancy/roles.ts'
import type { RoomTable } from './catalogue.ts'
import type { Ends } from './copy.ts'
import { beginMaking, missing, returning } from './parts.ts'
import { beginRead, beginWrite } from './side.ts'
import { KEYS } from './staging.ts'

/**
 * Makes the primary key of a table whose rows have all been loaded, where that is still missing. A row that was changed
 * meanwhile may be there twice, as it was and as it became: all rows that were noted are removed first, and the first
 * catch-up pass, which needs the key, puts them in as they are then.
 *
 * @param speed as a part of the full one: over 0, up to 1
 */
export async function makeKey({ source, target, from, to }: Ends, table: RoomTable, speed: number): Promise<void> {
  const parts = (await missing(target, ['key'])).filter((p) => p.table_name === table.name)
  if (parts.length === 0) return
  await from.transaction(beginRead(source), () =>
    to.transaction(beginWrite(target), async () => {
      const noted = await from.copyTo(
        `copy (select distinct table_name, key from tenancy.notes
           where tenant_id = '${source.tenant}' and table_name = ${quoteLiteral(table.name)}) to stdout`,
        to,
        `copy ${KEYS} (table_name, key) from stdin`,
      )
      if (noted.rows > 0) {
        const same = table.key
          .map((c) => `and d.${quoteIdent(c.name)} = (k.key ->> ${quoteLiteral(c.name)})::${c.type}`)
          .join(' ')
        // There is no index yet: the keys are hashed and the table is read once.
        await to.script(`set local role ${OWNER}; set local enable_hashjoin = on; set local enable_seqscan = on;
          delete from ${target.table(table.name)} d using ${KEYS} k where d.tenant_id = '${target.tenant}' ${same};
          reset role`)
      }
    }),
  )
  // Apart, so that no snapshot at the source waits for it.
  await to.transaction(beginMaking(target, speed), () => to.script(returning(target, parts)))
}
