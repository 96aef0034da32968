import { eq } from 'drizzle-orm'
import * as schema from '../../config/schema.ts'
import type { OpenTenants } from '../../tiers/open-tenants.ts'
import type { Alternative } from './alternatives.ts'
import { ROOMS } from './world.ts'

const READ = 'select id, name, email from "{room}"."customers" where id = $1'
const INSERT = `insert into "{room}"."customers" (name, email) values ('Bench', $1) returning id`
const { id, name, email } = schema.customers

type Ways = Record<`${keyof typeof ROOMS}, ${'session' | 'drizzle'}`, Omit<Alternative, 'close'>>

/** The ways through Innkeeper: each adapter, with SQL text and with Drizzle. */
export function waysOf(tenants: OpenTenants<typeof schema>): Ways {
  const ways = Object.entries(ROOMS).flatMap(([isolation, slug]) => [
    [
      `${isolation}, session`,
      {
        read: (key: number) => tenants.session(slug).execute({ text: READ, params: [key] }),
        insert: (address: string) => tenants.session(slug).execute({ text: INSERT, params: [address] }),
      },
    ],
    [
      `${isolation}, drizzle`,
      {
        read: (key: number) => tenants.for(slug).select({ id, name, email }).from(schema.customers).where(eq(id, key)),
        insert: (address: string) =>
          tenants.for(slug).insert(schema.customers).values({ name: 'Bench', email: address }).returning({ id }),
      },
    ],
  ])
  return Object.fromEntries(ways) as Ways
}
