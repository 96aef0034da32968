/** A transaction, or a savepoint in it. */
export interface Scope {
  readonly around: Scope | undefined
  /** The end of the last savepoint in it. */
  savepoint: Promise<unknown> | null
}

export function scopeIn(around: Scope | undefined): Scope {
  return { around, savepoint: null }
}

/** Where something is that is sent by a handle of `own`: in the savepoint that the running code is in, if that is within. */
export function scopeOf(own: Scope, running: Scope | undefined): Scope {
  for (let scope = running; scope !== undefined; scope = scope.around) if (scope === own) return running!
  return own
}

/** What came between a savepoint and its end from outside it would be undone with it, though it had succeeded. */
export function afterSavepoint<T>({ savepoint }: Scope, run: () => Promise<T>): Promise<T> {
  return savepoint === null ? run() : savepoint.then(run)
}
