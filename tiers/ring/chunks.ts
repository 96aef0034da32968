import { Transform, type TransformCallback } from 'node:stream'

export interface ChunksOptions {
  /** Of all pieces but the last, which is shorter or as long, and may be empty. */
  readonly bytes: number
  readonly each: (piece: Buffer, number: number, isLast: boolean) => Buffer
  /** Given what has come so far says how long the head is, which is no piece; null as long as that cannot be told. */
  readonly head?: (start: Buffer, isAll: boolean) => number | null
}

/** A stream that cuts what comes into pieces of one size and gives on what becomes of each. */
export function chunks({ bytes, each, head }: ChunksOptions): Transform {
  let held: Buffer[] = []
  let heldBytes = 0
  let number = 0
  let isHeadDone = head === undefined

  const whole = (): Buffer => {
    if (held.length !== 1) held = [Buffer.concat(held)]
    return held[0]!
  }
  const cut = (length: number): Buffer => {
    const all = whole()
    held = [all.subarray(length)]
    heldBytes -= length
    return all.subarray(0, length)
  }

  function give(stream: Transform, isAll: boolean): void {
    if (!isHeadDone) {
      const length = head!(whole(), isAll)
      if (length === null) return
      isHeadDone = true
      cut(length)
    }
    // Strictly more: what is exactly one piece may be the last one.
    while (heldBytes > bytes) stream.push(each(cut(bytes), number++, false))
    if (isAll) stream.push(each(cut(heldBytes), number++, true))
  }

  function run(stream: Transform, isAll: boolean, done: TransformCallback): void {
    let failure: Error | null = null
    try {
      give(stream, isAll)
    } catch (error) {
      failure = error as Error
    }
    done(failure)
  }

  return new Transform({
    transform(data: Buffer, _encoding, done) {
      held.push(data)
      heldBytes += data.length
      run(this, false, done)
    },
    flush(done) {
      run(this, true, done)
    },
  })
}
