import { type Condition, findEmbed, IS_KEYWORDS, type Node, OPERATORS, type Test } from '../ast.ts'
import { RestError } from '../errors.ts'
import { existsSql } from './embed.ts'
import { type FieldSql, fieldSql } from './field.ts'
import { arrayLiteral, bind, countPart } from './params.ts'
import type { Scope } from './scope.ts'

/**
 * Writes what a level of the request is filtered by: its own conditions, and the existence of its inner embeds. It
 * refers to the scope's table alone, so the same text serves a read, its count, an update and a delete.
 *
 * @returns the conditions to be joined by AND; none when everything matches
 */
export function whereSql(scope: Scope, node: Node): string[] {
  const conditions = node.where.map((condition) => conditionSql(scope, node, condition))
  for (const item of node.select) {
    if (item.kind === 'embed' && item.embed.inner) conditions.push(existsSql(scope, item.embed))
  }
  return conditions
}

/** ` where a and b`, or nothing. */
export function whereClause(conditions: readonly string[]): string {
  return conditions.length === 0 ? '' : ` where ${conditions.join(' and ')}`
}

function conditionSql(scope: Scope, node: Node, condition: Condition): string {
  if (condition.kind === 'test') return testSql(scope, node, condition)
  const inner = condition.conditions.map((child) => conditionSql(scope, node, child)).join(` ${condition.operator} `)
  return condition.negated ? `not (${inner})` : `(${inner})`
}

function testSql(scope: Scope, node: Node, test: Test): string {
  countPart(scope.params)
  const embed = embedTestSql(scope, node, test)
  if (embed !== null) return embed
  const sql = comparisonSql(scope, test, fieldSql(scope, test.field))
  return test.negated ? `not (${sql})` : sql
}

function comparisonSql(scope: Scope, test: Test, field: FieldSql): string {
  const { params } = scope
  const operator = OPERATORS[test.operator]
  if (typeof test.value !== 'string') return listSql(scope, test.value, field)
  switch (operator.value) {
    case 'keyword':
      return `${field.sql} is ${IS_KEYWORDS[test.value as keyof typeof IS_KEYWORDS]}`
    case 'search':
      return searchSql(scope, test, field, operator.sql)
    default: {
      const type = operator.value === 'column' ? field.type : 'text'
      if (test.quantifier === null) return `${field.sql} ${operator.sql} ${bind(params, test.value, type)}`
      return `${field.sql} ${operator.sql} ${test.quantifier}(${bind(params, test.value, `${type}[]`)})`
    }
  }
}

/** One parameter however many values there are, so that the statement's text stays the same and can be prepared. */
function listSql({ params }: Scope, values: readonly string[], field: FieldSql): string {
  if (field.column.type.kind !== 'array' || field.isPath) {
    return `${field.sql} = any(${bind(params, arrayLiteral(values), `${field.type}[]`)})`
  }
  // There is no array of arrays; a list of them is rare enough to be written out.
  if (values.length === 0) return 'false'
  return `${field.sql} in (${values.map((value) => bind(params, value, field.type)).join(', ')})`
}

function searchSql({ params }: Scope, test: Test, field: FieldSql, toQuery: string): string {
  const language = test.language === null ? '' : `${bind(params, test.language, 'regconfig')}, `
  const isVector = field.column.type.kind === 'tsvector' && !field.isPath
  const vector = isVector ? field.sql : `pg_catalog.to_tsvector(${language}${field.sql})`
  return `${vector} @@ pg_catalog.${toQuery}(${language}${bind(params, test.value, 'text')})`
}

/** `rel=is.null` and `rel=not.is.null`: whether the embedded resource has any row. Null when it is about a column. */
function embedTestSql(scope: Scope, node: Node, test: Test): string | null {
  const { name, path } = test.field
  if (path.length > 0 || scope.table.columns.has(name)) return null
  const embed = findEmbed(node, name)
  if (embed === null) return null
  if (test.operator !== 'is' || (test.value !== 'null' && test.value !== 'not_null')) {
    const message = `Bad operator on the '${name}' embedded resource`
    throw new RestError(
      400,
      'PGRST120',
      message,
      'Only is null or not is null filters are allowed on embedded resources',
    )
  }
  const wantsRows = (test.value === 'not_null') !== test.negated
  return wantsRows ? existsSql(scope, embed) : `not ${existsSql(scope, embed)}`
}
