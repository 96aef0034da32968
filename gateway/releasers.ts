/** Things to close, noted when they are opened and closed in the reverse order. */
export interface Releasers {
  add(name: string, release: () => Promise<void>): void
  /** Closes what is left, the last opened first; one that fails does not keep the others open. */
  releaseAll(): Promise<void>
}

export function releasers(): Releasers {
  const open: { name: string; release: () => Promise<void> }[] = []
  let releasing: Promise<void> | null = null
  const run = async () => {
    const errors: Error[] = []
    for (let one = open.pop(); one !== undefined; one = open.pop()) {
      try {
        await one.release()
      } catch (cause) {
        errors.push(new Error(`could not close ${one.name}`, { cause }))
      }
    }
    if (errors.length > 0) throw new AggregateError(errors, 'not everything could be closed')
  }
  return {
    add(name, release) {
      if (releasing !== null) throw new Error(`${name} was opened while everything is being closed`)
      open.push({ name, release })
    },
    // Called twice, as by two signals, it closes once.
    releaseAll() {
      releasing ??= run()
      return releasing
    },
  }
}
