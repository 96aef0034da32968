import type pg from 'pg'
import { divert } from './divert.ts'

export interface Copied {
  readonly rows: number
  readonly bytes: number
}

/** The part of the driver's connection that COPY needs; a Submittable is given it. */
export interface Wire {
  readonly stream: import('node:net').Socket
  query(text: string): void
  endCopyFrom(): void
  sendCopyFail(message: string): void
}

/** One COPY, from the statement to the moment when the server is ready again. */
class Copy {
  readonly done: Promise<number>
  readonly begun: Promise<Wire>
  /** Done before the statement is sent, and undone when the server is ready again. */
  onSubmit: ((wire: Wire) => () => void) | null = null
  onFailed: () => void = () => {}
  readonly #text: string
  #begin!: (wire: Wire) => void
  #fail!: (error: Error) => void
  #resolve!: (rows: number) => void
  #reject!: (error: Error) => void
  #undo = () => {}
  #rows = 0
  failed: Error | null = null

  constructor(text: string) {
    this.#text = text
    this.done = new Promise((resolve, reject) => {
      this.#resolve = resolve
      this.#reject = reject
    })
    this.begun = new Promise((resolve, reject) => {
      this.#begin = resolve
      this.#fail = reject
    })
    this.begun.catch(() => {})
    this.done.catch(() => {})
  }

  submit(wire: Wire): void {
    this.#undo = this.onSubmit?.(wire) ?? this.#undo
    wire.query(this.#text)
  }
  handleCopyInResponse(wire: Wire): void {
    this.#begin(wire)
  }
  handleCopyData(): void {}
  handleCommandComplete(message: { text: string }): void {
    this.#rows = Number(message.text.split(' ').at(-1))
  }
  handleError(error: Error): void {
    this.failed = error
    this.#fail(error)
    this.#reject(error)
    this.onFailed()
  }
  handleReadyForQuery(): void {
    this.#undo()
    this.#fail(new Error('the statement was not a COPY FROM STDIN'))
    this.#resolve(this.#rows)
  }
  handleRowDescription(): void {}
  handleDataRow(): void {}
  handlePortalSuspended(): void {}
  handleEmptyQuery(): void {}
}

/**
 * Streams the answer of a COPY TO STDOUT on one connection into a COPY FROM STDIN on another, no faster than the second
 * takes it. A failure on either side ends both, with the connections still in step.
 *
 * @throws the server's error of whichever side failed first
 */
export async function copyBetween(from: pg.Client, out: string, to: pg.Client, into: string): Promise<Copied> {
  const sink = new Copy(into)
  to.query(sink as unknown as pg.Submittable)
  const wire = await sink.begun
  const source = new Copy(out)
  let bytes = 0
  source.onSubmit = ({ stream }) => {
    let isWaiting = false
    const goOn = () => {
      isWaiting = false
      stream.resume()
    }
    // A connection that is gone is never drained.
    sink.onFailed = goOn
    return divert(stream, (messages, payload) => {
      if (sink.failed !== null) return
      bytes += payload
      if (wire.stream.write(messages) || isWaiting) return
      isWaiting = true
      stream.pause()
      wire.stream.once('drain', goOn)
    })
  }
  from.query(source as unknown as pg.Submittable)
  try {
    await Promise.race([source.done, sink.done.then(() => source.done)])
  } catch (error) {
    if (sink.failed === null) wire.sendCopyFail('the other side failed')
    await Promise.allSettled([source.done, sink.done])
    throw error
  }
  wire.endCopyFrom()
  return { rows: await sink.done, bytes }
}
