import type { EntranceDeps } from './room/entrance.ts'
import type { RoomSession, RoomTransaction } from './room/session.ts'
import type { TiersObserver } from './telemetry.ts'
import { tenantAttributes } from './telemetry.ts'

/** Spans around what a request waits for. Only built in where somebody collects spans, so that it costs nothing otherwise. */

export function tracedEntrance(deps: EntranceDeps, observer: TiersObserver): EntranceDeps {
  return {
    movingWaitMs: deps.movingWaitMs,
    place: (id, fresh) => observer.span('directory', { fresh }, async () => deps.place(id, fresh)),
    lease: (tenant, signal) => observer.span('pool.wait', tenantAttributes(tenant), () => deps.lease(tenant, signal)),
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
