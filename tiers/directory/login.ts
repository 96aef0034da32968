import type { AdminSql } from '../pg/admin.ts'
import { passwordLiteral } from '../pg/scram.ts'
import { quoteIdent } from '../quote.ts'

export interface Login {
  readonly user: string
  readonly password: string
}

/** Makes a role of the control database that may log in and, so far, do nothing. @returns its name, quoted */
export async function makeLogin(tx: AdminSql, { user, password }: Login): Promise<string> {
  const role = quoteIdent(user)
  const [found] = await tx`select from pg_roles where rolname = ${user}`
  if (found === undefined) await tx.unsafe(`create role ${role} login`)
  // Only a superuser may say even that a role is none, and only a superuser could have made it one.
  const [me] = await tx<{ isSuper: boolean }[]>`select rolsuper as "isSuper" from pg_roles where rolname = current_user`
  const plain = me!.isSuper ? 'nosuperuser noreplication nobypassrls' : ''
  await tx.unsafe(`alter role ${role} login nocreatedb nocreaterole ${plain} password ${passwordLiteral(password)}`)
  await tx.unsafe(`grant usage on schema public to ${role}`)
  return role
}
