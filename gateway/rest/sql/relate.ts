import type { Embed } from '../ast.ts'
import { nearest } from '../catalogue/nearest.ts'
import type { Catalogue, JoinPair, Relationship, Table } from '../catalogue/types.ts'
import { TENANT_COLUMN } from '../catalogue/types.ts'
import { RestError } from '../errors.ts'

/**
 * Finds the relationship that an embed means: by the target's name, a foreign key's or a foreign key column's, and the
 * hint if there is one.
 *
 * @throws RestError PGRST200 when there is none, PGRST201 (300) when there is more than one
 */
export function relate(catalogue: Catalogue, table: Table, embed: Embed): Relationship {
  const all = catalogue.relationships.get(table.name) ?? []
  const { target, hint } = embed
  const found = all.filter(
    (candidate) => candidate.targets.includes(target) && (hint === null || candidate.hints.includes(hint)),
  )
  if (found.length === 1) return found[0]!
  // A hint may name both a column and a constraint's other end; the direct way is meant rather than the one across.
  const direct = found.filter((candidate) => candidate.cardinality !== 'many-to-many')
  if (hint !== null && direct.length === 1 && found.length > 1) return direct[0]!
  throw found.length === 0 ? noRelationship(catalogue, table, embed) : ambiguous(table, embed, found)
}

export function isToOne(relationship: Relationship): boolean {
  return relationship.cardinality === 'many-to-one' || relationship.cardinality === 'one-to-one'
}

function noRelationship(catalogue: Catalogue, table: Table, { target, hint }: Embed): RestError {
  const known = new Set((catalogue.relationships.get(table.name) ?? []).flatMap((candidate) => candidate.targets))
  known.delete(target)
  const near = nearest(target, known)
  const using = hint === null ? '' : ` using the hint '${hint}'`
  return new RestError(
    400,
    'PGRST200',
    `Could not find a relationship between '${table.name}' and '${target}' in the schema cache`,
    `Searched for a foreign key relationship between '${table.name}' and '${target}'${using}, but no matches were found.`,
    near === null ? null : `Perhaps you meant '${near}' instead of '${target}'.`,
  )
}

function ambiguous(table: Table, { target }: Embed, found: readonly Relationship[]): RestError {
  const details = found.map((candidate) => ({
    cardinality: candidate.cardinality,
    embedding: `${table.name} with ${candidate.to}`,
    relationship: described(candidate),
  }))
  const choices = found.map((candidate) => `'${target}!${candidate.name}'`).join(', ')
  return new RestError(
    300,
    'PGRST201',
    `Could not embed because more than one relationship was found for '${table.name}' and '${target}'`,
    details,
    `Try changing '${target}' to one of the following: ${choices}. Find the desired relationship in the 'details' key.`,
  )
}

function described(relationship: Relationship): string {
  const { name, from, to } = relationship
  if (relationship.cardinality !== 'many-to-many') {
    return `${name} using ${from}(${visible(relationship.pairs, 0)}) and ${to}(${visible(relationship.pairs, 1)})`
  }
  return `${name} from ${from}(${visible(relationship.near, 0)}) to ${to}(${visible(relationship.far, 1)})`
}

function visible(pairs: readonly JoinPair[], side: 0 | 1): string {
  return pairs
    .map((pair) => pair[side])
    .filter((column) => column !== TENANT_COLUMN)
    .join(', ')
}
