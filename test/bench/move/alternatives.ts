import { pipeline } from 'node:stream/promises'
import { setTimeout as sleep } from 'node:timers/promises'
import postgres from 'postgres'
import type { TestPostgres } from '../../support/postgres.ts'
import { paced } from './paced.ts'

export interface Alternative {
  readonly name: string
  /** @returns the longest that one of the writers waited, in milliseconds */
  pause(): Promise<number>
}

export interface Alternatives {
  readonly all: readonly Alternative[]
  /** Rows per second of a binary COPY from one database into another, with nothing beside it. */
  copyRowsPerSecond(): Promise<number>
  close(): Promise<void>
}

const TARGET = 'bench_target'
const COLUMNS = `tenant_id uuid not null, id bigint not null, name text not null, email text not null, company text, phone text,
  custom jsonb not null, created_at timestamptz not null`
const KEYS = ['primary key (tenant_id, id)', 'unique (tenant_id, email)']
const POLL_MS = 5

/** What teams do by hand, with a copy of the same rows and the same writers: to another database of the same server. */
export async function openAlternatives(
  { server }: TestPostgres,
  of: { database: string; schema: string; tenant: string; rows: number; writesPerSecond: number },
): Promise<Alternatives> {
  const options = { max: 8, onnotice: () => {} }
  const source = postgres(server.url(of.database), options)
  const target = await (async () => {
    await source.unsafe(`create database ${TARGET}`)
    return postgres(server.url(TARGET), options)
  })()
  await source.unsafe('create schema bench')
  await source.unsafe(`create table bench.moved (${[COLUMNS, ...KEYS].join(', ')})`)
  await source.unsafe(
    `insert into bench.moved select tenant_id, id, name, email, company, phone, custom, created_at
     from "${of.schema}".customers where tenant_id = $1`,
    [of.tenant],
  )
  await source.unsafe('analyze bench.moved')

  const writing = async (work: () => Promise<void>): Promise<number> => {
    const load = paced(of.writesPerSecond, (turn) =>
      source.unsafe(
        'update bench.moved set company = $1 where tenant_id = $2 and id = $3',
        [`turn ${turn}`, of.tenant, 1 + ((turn * 7919) % of.rows)],
        { prepare: true },
      ),
    )
    await sleep(1_000)
    load.report()
    try {
      await work()
      await sleep(300)
    } finally {
      await load.stop()
    }
    return load.report().maxMs
  }
  const emptyTarget = async (withKeys: boolean) => {
    await target.unsafe('drop schema if exists bench cascade')
    await target.unsafe('create schema bench')
    await target.unsafe(`create table bench.moved (${[COLUMNS, ...(withKeys ? KEYS : [])].join(', ')})`)
  }
  const copy = async (from: postgres.Sql, format: 'text' | 'binary') => {
    const out = await from.unsafe(`copy bench.moved to stdout (format ${format})`).readable()
    const into = await target.unsafe(`copy bench.moved from stdin (format ${format})`).writable()
    await pipeline(out, into)
  }
  const frozen = async (work: (sql: postgres.Sql) => Promise<void>) => {
    await source.begin(async (tx) => {
      // A transaction's client is one that asks on its own connection.
      const sql = tx as unknown as postgres.Sql
      await sql.unsafe('lock table bench.moved in exclusive mode')
      await work(sql)
    })
  }
  const addKeys = async () => {
    for (const key of KEYS) await target.unsafe(`alter table bench.moved add ${key}`)
  }

  return {
    all: [
      {
        name: 'freeze, text COPY, indexes in place',
        async pause() {
          await emptyTarget(true)
          return writing(() => frozen((sql) => copy(sql, 'text')))
        },
      },
      {
        name: 'freeze, binary COPY, indexes after',
        async pause() {
          await emptyTarget(false)
          return writing(() =>
            frozen(async (sql) => {
              await copy(sql, 'binary')
              await addKeys()
            }),
          )
        },
      },
      {
        name: 'logical replication, freeze, wait for the position',
        async pause() {
          await emptyTarget(true)
          const slot = 'bench_moved'
          await source.unsafe('create publication bench_moved for table bench.moved')
          await source.unsafe(`select pg_create_logical_replication_slot('${slot}', 'pgoutput')`)
          const url = new URL(server.url(of.database))
          const password = url.password === '' ? '' : ` password=${decodeURIComponent(url.password)}`
          const conninfo = `host=${url.hostname} port=${url.port} user=${url.username}${password} dbname=${of.database}`
          try {
            return await writing(async () => {
              await target.unsafe(
                `create subscription bench_moved connection '${conninfo}' publication bench_moved
                 with (create_slot = false, slot_name = '${slot}')`,
              )
              await until(
                async () =>
                  (await target`select 1 from pg_subscription_rel where srsubstate <> 'r'`).length === 0 &&
                  (await target`select 1 from pg_subscription_rel`).length > 0,
              )
              await frozen(async (sql) => {
                const [{ lsn }] = (await sql`select pg_current_wal_lsn()::text as lsn`) as unknown as [{ lsn: string }]
                await until(
                  async () =>
                    (
                      await sql`select 1 from pg_stat_replication
                        where application_name = 'bench_moved' and replay_lsn >= ${lsn}::pg_lsn`
                    ).length > 0,
                )
              })
            })
          } finally {
            await target.unsafe('alter subscription bench_moved disable')
            await target.unsafe('alter subscription bench_moved set (slot_name = none)')
            await target.unsafe('drop subscription bench_moved')
            await until(async () => {
              const [row] = await source`select active from pg_replication_slots where slot_name = ${slot}`
              return row?.active === false
            })
            await source`select pg_drop_replication_slot(${slot})`
            await source.unsafe('drop publication bench_moved')
          }
        },
      },
    ],
    async copyRowsPerSecond() {
      await emptyTarget(false)
      const began = performance.now()
      await copy(source, 'binary')
      return of.rows / ((performance.now() - began) / 1_000)
    },
    async close() {
      await target.end()
      await source.unsafe(`drop database ${TARGET} with (force)`)
      await source.unsafe('drop schema bench cascade')
      await source.end()
    },
  }
}

async function until(isSo: () => Promise<boolean>): Promise<void> {
  while (!(await isSo())) await sleep(POLL_MS)
}
