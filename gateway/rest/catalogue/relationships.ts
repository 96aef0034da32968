import {
  type DirectRelationship,
  type ForeignKey,
  type JoinPair,
  type JunctionRelationship,
  type Relationship,
  type Table,
  TENANT_COLUMN,
} from './types.ts'

/**
 * What can be embedded in what: each foreign key read in both directions, and each pair of foreign keys of a join
 * table read across it.
 *
 * @returns the relationships by the table they start from, frozen
 */
export function relationshipsOf(
  tables: ReadonlyMap<string, Table>,
  foreignKeys: readonly ForeignKey[],
): ReadonlyMap<string, readonly Relationship[]> {
  const all: Relationship[] = []
  for (const key of foreignKeys) all.push(forward(key, tables), backward(key, tables))
  for (const keys of Map.groupBy(foreignKeys, (key) => key.from).values()) all.push(...across(keys, tables))
  return Map.groupBy(all.map(Object.freeze) as Relationship[], (relationship) => relationship.from)
}

/** From the table that holds the foreign key to the row that it names. */
function forward(key: ForeignKey, tables: ReadonlyMap<string, Table>): DirectRelationship {
  const column = singleColumn(key, 0)
  return {
    from: key.from,
    to: key.to,
    name: key.name,
    pairs: key.pairs,
    cardinality: isUnique(key, tables) ? 'one-to-one' : 'many-to-one',
    hints: names(key.name, column, singleColumn(key, 1)),
    // A table that refers to itself is entered by its own name towards the many, by the column towards the one.
    targets: names(key.from === key.to ? null : key.to, key.name, column),
  }
}

/** From the row that is named to the rows that name it. */
function backward(key: ForeignKey, tables: ReadonlyMap<string, Table>): DirectRelationship {
  return {
    from: key.to,
    to: key.from,
    name: key.name,
    pairs: key.pairs.map(reversed),
    cardinality: isUnique(key, tables) ? 'one-to-one' : 'one-to-many',
    hints: names(key.name, singleColumn(key, 0), singleColumn(key, 1)),
    targets: names(key.from, key.from === key.to ? null : key.name),
  }
}

/** A join table is one whose primary key holds the columns of both foreign keys; others only happen to have two. */
function across(keys: readonly ForeignKey[], tables: ReadonlyMap<string, Table>): JunctionRelationship[] {
  const primary = new Set(tables.get(keys[0]!.from)?.primaryKey?.allColumns)
  const joining = keys.filter((key) => key.pairs.every(([local]) => primary.has(local)))
  const found: JunctionRelationship[] = []
  for (const near of joining) {
    for (const far of joining) {
      if (near === far) continue
      found.push({
        from: near.to,
        to: far.to,
        name: near.from,
        junction: near.from,
        near: near.pairs.map(reversed),
        far: far.pairs,
        cardinality: 'many-to-many',
        hints: names(near.from, near.name, far.name),
        targets: names(far.to),
      })
    }
  }
  return found
}

/** The referring columns are a whole unique key: at most one row can refer. */
function isUnique(key: ForeignKey, tables: ReadonlyMap<string, Table>): boolean {
  const columns = new Set(key.pairs.map(([local]) => local))
  const unique = tables.get(key.from)?.uniqueKeys ?? []
  return unique.some((candidate) => candidate.allColumns.every((column) => columns.has(column)))
}

function singleColumn(key: ForeignKey, side: 0 | 1): string | null {
  const columns = key.pairs.map((pair) => pair[side]).filter((column) => column !== TENANT_COLUMN)
  return columns.length === 1 ? columns[0]! : null
}

function reversed([local, foreign]: JoinPair): JoinPair {
  return [foreign, local]
}

function names(...candidates: (string | null)[]): readonly string[] {
  return Object.freeze(candidates.filter((name) => name !== null))
}
