import type { MoverClient } from './mover-client.ts'
import { AS_MOVER, type Side } from './side.ts'

/**
 * Looks at the tenant's rows before there is a move: as the role that sees the rows of a move's tenant and no others, in a
 * transaction that knows a move and is rolled back. An admin role that is no superuser sees no row in any other way.
 */
export async function asTenant<T>(side: Side, look: (client: MoverClient) => Promise<T>): Promise<T> {
  const client = await side.client()
  try {
    await client.script(`begin;
      insert into tenancy.moves (id, tenant_id, generation) values (gen_random_uuid(), '${side.tenant}', 1)
      on conflict (tenant_id) do nothing;
      select set_config('tenancy.move', id::text, true) from tenancy.moves where tenant_id = '${side.tenant}'; ${AS_MOVER}`)
    return await look(client)
  } finally {
    await client.script('rollback')
  }
}
