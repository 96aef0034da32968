import type { Isolation } from '../../../tiers/types.ts'

/** One line of the data layer changed. It runs in a process of its own, which loads the file with the change. */
export interface SourceWeakening {
  readonly name: string
  readonly check: string
  readonly isolation: Isolation
  /** Under the repository's root. */
  readonly file: string
  readonly from: string
  readonly to: string
  /** Runs on the tenants' own databases, found by way of the directory and its caches. */
  readonly directory?: true
  /** Another place of the file that has to follow. */
  readonly also?: readonly [from: string, to: string]
}

export const SOURCE_WEAKENINGS: readonly SourceWeakening[] = [
  {
    name: 'no RESET ALL at the beginning',
    check: 'settings that a tenant leaves are gone for the next',
    isolation: 'shared',
    file: 'tiers/room/steps.ts',
    from: 'const steps: Step[] = [RESET_STEP, enter]',
    to: 'const steps: Step[] = [enter]',
  },
  {
    name: 'a ticket for one database opens another',
    check: 'a ticket for one database opens no other',
    isolation: 'shared',
    file: 'tiers/room/keys.ts',
    // biome-ignore lint/suspicious/noTemplateCurlyInString: it is source text
    from: '`database:${database}`',
    to: "'database'",
  },
  {
    name: 'the first word of a statement is not looked at',
    check: 'the gateways’ login cannot be changed by those who use it',
    isolation: 'shared',
    file: 'tiers/room/command.ts',
    from: 'if (FIRST_WORD.test(text)) return',
    to: 'return',
  },
  {
    name: 'comments hide the first word of a statement',
    check: 'the gateways’ login cannot be changed by those who use it',
    isolation: 'shared',
    file: 'tiers/room/command.ts',
    from: "text[at] !== '\\n' && text[at] !== '\\r'",
    to: "text[at] !== '\\n'",
  },
  {
    name: 'a text cached for one tenant’s schema serves another',
    check: 'no table shows a row of another tenant',
    isolation: 'schema',
    file: 'tiers/room/room-text.ts',
    from: 'const known = bySchema.get(schema)',
    to: 'const known = bySchema.values().next().value',
  },
  {
    name: 'a ticket cached for one tenant serves another',
    check: 'no table shows a row of another tenant',
    isolation: 'shared',
    file: 'tiers/room/steps.ts',
    from: 'let ofTenant = openings.get(tenant)',
    to: 'tenant = { ...tenant, ...(globalThis as any).first }; (globalThis as any).first ??= tenant; let ofTenant = openings.get((globalThis as any).first)',
  },
  {
    name: 'a ticket cached for one user serves another',
    check: 'claims are those of the gateway, or an error',
    isolation: 'shared',
    file: 'tiers/room/steps.ts',
    from: 'statementTimeoutMs === undefined) return claims',
    to: "statementTimeoutMs === undefined) return ''",
  },
  {
    name: 'a ticket cached for writing serves reading',
    check: 'a read-only transaction stays one',
    isolation: 'shared',
    file: 'tiers/room/steps.ts',
    // biome-ignore lint/suspicious/noTemplateCurlyInString: it is source text
    from: 'return `${interactive} ${readOnly} ',
    // biome-ignore lint/suspicious/noTemplateCurlyInString: it is source text
    to: 'return `${interactive} ',
  },
  {
    name: 'connections of one database serve another',
    check: 'no table shows a row of another tenant',
    isolation: 'database',
    file: 'tiers/pg/database-lines.ts',
    from: 'const known = this.#lines.get(database)',
    to: 'const known = this.#lines.values().next().value',
  },
  {
    name: 'a connection in doubt goes back to its pool',
    check: 'a tenant’s poison does not cost the next one its request',
    isolation: 'shared',
    file: 'tiers/pg/cluster-pool.ts',
    from: 'connection.doomed || ',
    to: '',
  },
  {
    name: 'a dirty session fails the request that meets it',
    check: 'a tenant’s poison does not cost the next one its request',
    isolation: 'shared',
    file: 'tiers/room/entrance.ts',
    from: 'if (codeOf(first.error) !== SQLSTATE.dirtySession) return first',
    to: 'return first',
    also: ['state === SQLSTATE.dirtySession && ++dirty', 'false && ++dirty'],
  },
  {
    name: 'a parked request keeps its connection',
    check: 'a parked request holds no connection, and goes on when the tenant is open again',
    isolation: 'shared',
    file: 'tiers/room/entrance.ts',
    from: 'await parking.wait(id, tenant.placement.epoch, deadline - performance.now(), signal)',
    to: 'const kept = await deps.lease(tenant, signal); await parking.wait(id, tenant.placement.epoch, deadline - performance.now(), signal); setTimeout(() => kept.release(), 1_000)',
  },
  {
    name: 'a scope lets its code reach for another tenant',
    check: 'code that works for one tenant cannot reach for another',
    isolation: 'shared',
    file: 'tiers/room/context.ts',
    from: 'if (current === undefined || current.tenantId === tenantId) return',
    to: 'return',
  },
  {
    name: 'the simple protocol',
    check: 'one message holds one statement',
    isolation: 'shared',
    file: 'tiers/pg/batch.ts',
    from: 'for (const step of this.#steps) this.#write(step)\n',
    to: `for (const step of this.#steps.slice(0, -1)) this.#write(step)
    const own = this.#steps.at(-1)!
    if (own.params.length > 0) this.#write(own)
    else {
      // Query holds as many statements as its text does; it ends the transaction as a Sync does.
      this.#prepared.push(null)
      const text = Buffer.from(own.text + '\\0')
      const head = Buffer.alloc(5, 'Q')
      head.writeInt32BE(text.length + 4, 1)
      writer.copy(head)
      writer.copy(text)
      wire.stream.write(writer.take())
      this.#begin()
      return
    }
`,
    also: ['    this.#current++\n', '    if (this.#current === this.#steps.length - 1) return\n    this.#current++\n'],
  },
  {
    name: 'the directory caches answers without their key',
    check: 'no table shows a row of another tenant',
    isolation: 'shared',
    directory: true,
    file: 'tiers/cache/loading-cache.ts',
    from: 'const entry = this.#found.get(key) ?? this.#missing.get(key)\n    return entry',
    to: 'const entry = this.#found.values().next().value\n    return entry',
  },
  {
    name: 'an answer of the directory is not looked at',
    check: 'an answer of the directory that is another tenant’s opens no room',
    isolation: 'shared',
    file: 'tiers/tenants.ts',
    from: 'if (tenant.id !== asked) throw',
    to: 'if (false) throw',
  },
]
