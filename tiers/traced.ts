import type { Lease } from './pg/cluster-pool.ts'
import type { EntranceDeps } from './room/entrance.ts'
import type { RoomSession, RoomTransaction } from './room/session.ts'
import { NO_OBSERVER, type TiersObserver, tenantAttributes } from './telemetry.ts'
import type { Tenant } from './types.ts'

/** What the data layer tells of its work. Only built in where somebody listens, so that it costs nothing otherwise. */

export function tracedEntrance(deps: EntranceDeps, observer: TiersObserver): EntranceDeps {
  return {
    ...deps,
    place: (id, fresh) => observer.span('directory', { fresh }, async () => deps.place(id, fresh)),
    lease: (tenant, signal, eager) =>
      observer.span('pool.wait', tenantAttributes(tenant), () => deps.lease(tenant, signal, eager)),
  }
}

export function tracedSession(session: RoomSession, observer: TiersObserver): RoomSession {
  return {
    execute: (statement, options) =>
      observer.span('statement', textOf(statement.text), () => session.execute(statement, options)),
    transaction: (work, options) =>
      observer.span('transaction', {}, () =>
        session.transaction((tx) => work(tracedTransaction(tx, observer)), options),
      ),
  }
}

function tracedTransaction(tx: RoomTransaction, observer: TiersObserver): RoomTransaction {
  return {
    execute: (statement) => observer.span('statement', textOf(statement.text), () => tx.execute(statement)),
    savepoint: (work) => tx.savepoint((inner) => work(tracedTransaction(inner, observer))),
  }
}

/** The text has placeholders for values; a very long one is cut. */
function textOf(text: string): { 'db.query.text': string } {
  return { 'db.query.text': text.slice(0, 2_000) }
}

/** Notes how long a tenant waited for a connection, and how long it held it: its database time. */
export async function accounted(observer: TiersObserver, tenant: Tenant, ask: () => Promise<Lease>): Promise<Lease> {
  if (observer === NO_OBSERVER) return ask()
  const attributes = tenantAttributes(tenant)
  const asked = performance.now()
  const lease = await ask()
  const granted = performance.now()
  observer.record('pool.waitMs', granted - asked, attributes)
  return {
    connection: lease.connection,
    release() {
      observer.record('db.timeMs', performance.now() - granted, attributes)
      lease.release()
    },
  }
}
