export class NoAnswer extends Error {
  constructor(ms: number) {
    super(`no answer in ${ms} ms`)
    this.name = 'NoAnswer'
  }
}

/** Rejects with {@link NoAnswer} when the promise takes longer; what it was doing goes on unwatched. */
export function within<T>(promise: Promise<T>, timeoutMs: number): Promise<T> {
  let timer: NodeJS.Timeout
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new NoAnswer(timeoutMs)), timeoutMs)
  })
  return Promise.race([promise, late]).finally(() => clearTimeout(timer))
}
