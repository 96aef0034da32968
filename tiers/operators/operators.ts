import { createHash, randomBytes } from 'node:crypto'
import type postgres from 'postgres'
import { v7 as uuidv7 } from 'uuid'
import { append, type By } from '../audit/entry.ts'
import { InnkeeperError } from '../errors.ts'
import type { Role } from './roles.ts'

export interface Operator {
  readonly id: string
  readonly name: string
  readonly role: Role
  readonly createdAt: Date
  readonly expiresAt: Date | null
  readonly revokedAt: Date | null
}

/** People and programs that use the admin API with a token of their own. */
export interface Operators {
  /** @returns the record and the token, which nobody can show again @throws InnkeeperError `conflict` */
  create(
    wanted: { name: string; role: Role; expiresAt: Date | null },
    by: By,
  ): Promise<{ operator: Operator; token: string }>
  /** By name; @param page.after the last one of the page before */
  list(page: { readonly after?: string | undefined; readonly limit: number }): Promise<Operator[]>
  /** @throws InnkeeperError `not_found` */
  revoke(name: string, by: By): Promise<Operator>
  /** @returns null for a token that is unknown, revoked or expired */
  byToken(token: string): Promise<Operator | null>
}

/** By its beginning a token that was left somewhere is known for what it is. */
export const TOKEN_PREFIX = 'inkop_'
/** As the table has it too. */
export const OPERATOR_NAME = /^[a-z][a-z0-9._@-]{0,62}$/
/** Names that stand in the audit log for something else. */
const RESERVED = ['admin', 'program', 'configuration']

const COLUMNS = `id, name, role, created_at as "createdAt", expires_at as "expiresAt", revoked_at as "revokedAt"`

export function operatorStore(sql: postgres.Sql): Operators {
  const columns = sql.unsafe(COLUMNS)
  return {
    async create({ name, role, expiresAt }, by) {
      if (RESERVED.includes(name)) throw taken(name)
      const token = TOKEN_PREFIX + randomBytes(32).toString('base64url')
      const operator = await sql.begin(async (tx) => {
        const [made] = await tx<Operator[]>`
          insert into operators (id, name, role, token_hash, expires_at)
          values (${uuidv7()}, ${name}, ${role}, ${hashOf(token)}, ${expiresAt})
          on conflict (name) where revoked_at is null do nothing returning ${columns}`
        if (made === undefined) throw taken(name)
        await append(tx, { action: 'operator.create', by, after: { id: made.id, name, role, expiresAt } })
        return made
      })
      return { operator, token }
    },
    // A name comes again when it was revoked: the id tells them apart.
    list: async ({ after, limit }) => sql<Operator[]>`
      select ${columns} from operators
      ${after ? sql`where (name, id) > (select name, id from operators where id = ${after})` : sql``}
      order by name, id limit ${limit}`,
    async revoke(name, by) {
      if (!OPERATOR_NAME.test(name)) throw unknown(name)
      return sql.begin(async (tx) => {
        const [gone] = await tx<Operator[]>`
          update operators set revoked_at = now() where name = ${name} and revoked_at is null returning ${columns}`
        if (gone === undefined) throw unknown(name)
        await append(tx, { action: 'operator.revoke', by, before: { id: gone.id, name, role: gone.role } })
        return gone
      })
    },
    async byToken(token) {
      const [found] = await sql<Operator[]>`
        select ${columns} from operators
        where token_hash = ${hashOf(token)} and revoked_at is null and coalesce(expires_at > now(), true)`
      return found ?? null
    },
  }
}

const hashOf = (token: string) => createHash('sha256').update(token).digest()

function unknown(name: string): InnkeeperError {
  return new InnkeeperError('not_found', `There is no operator "${name}"`, {
    hint: 'Those there are: innkeeper operators list.',
  })
}

function taken(name: string): InnkeeperError {
  return new InnkeeperError('conflict', `The name "${name}" is taken`, { field: 'name' })
}
