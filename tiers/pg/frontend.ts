import type { WireValue } from './values.ts'

const PARSE = 0x50
const BIND = 0x42
const DESCRIBE = 0x44
const EXECUTE = 0x45
const CLOSE = 0x43
const SYNC = 0x53
const PORTAL = 0x50
const STATEMENT = 0x53
/** What a very large parameter made the buffer grow to is not kept beyond this. */
const KEPT_BYTES = 1 << 20

/**
 * Writes the frontend's messages of the extended protocol (PostgreSQL documentation, "Message Formats") one behind the
 * other. One buffer for a whole batch is one system call; a buffer for each message, as the `pg` package makes them, cost
 * a third of the gateway's time.
 */
export class FrontendWriter {
  readonly #initialBytes: number
  #buffer: Buffer
  #at = 0
  #start = 0

  constructor(initialBytes = 16_384) {
    this.#initialBytes = initialBytes
    this.#buffer = Buffer.allocUnsafe(initialBytes)
  }

  parse(name: string, text: string): void {
    this.#begin(PARSE)
    this.#name(name)
    this.#name(text)
    // No parameter types: the server infers them.
    this.#room(2)
    this.#int16(0)
    this.#end()
  }

  /** Bind to the unnamed portal and Execute; with Describe between them where the columns are not known yet. */
  run(name: string, values: readonly WireValue[], describe: boolean): void {
    this.#bind(name, values)
    if (describe) {
      this.#begin(DESCRIBE)
      this.#byte(PORTAL)
      this.#byte(0)
      this.#end()
    }
    this.#begin(EXECUTE)
    this.#byte(0)
    // All rows.
    this.#int32(0)
    this.#end()
  }

  close(name: string): void {
    this.#begin(CLOSE)
    this.#byte(STATEMENT)
    this.#name(name)
    this.#end()
  }

  sync(): void {
    this.#begin(SYNC)
    this.#end()
  }

  /** Messages that were written before. */
  copy(messages: Buffer): void {
    this.#room(messages.length)
    messages.copy(this.#buffer, this.#at)
    this.#at += messages.length
  }

  /** Forgets what was written and never taken, because writing it failed: it must not go out in front of another's. */
  restart(): void {
    this.#at = 0
  }

  /** What was written since the last time, and begins anew. */
  take(): Buffer {
    const written = Buffer.allocUnsafe(this.#at)
    this.#buffer.copy(written, 0, 0, this.#at)
    this.#at = 0
    if (this.#buffer.length > KEPT_BYTES) this.#buffer = Buffer.allocUnsafe(this.#initialBytes)
    return written
  }

  #bind(name: string, values: readonly WireValue[]): void {
    this.#begin(BIND)
    this.#byte(0)
    this.#name(name)
    const count = values.length
    this.#room(4 + 2 * count)
    this.#int16(count)
    for (const value of values) this.#int16(value instanceof Buffer ? 1 : 0)
    this.#int16(count)
    for (const value of values) this.#value(value)
    // One format for all columns of the result: text.
    this.#room(4)
    this.#int16(1)
    this.#int16(0)
    this.#end()
  }

  #value(value: WireValue): void {
    if (value === null) {
      this.#room(4)
      this.#int32(-1)
    } else if (typeof value === 'string') {
      this.#room(4 + value.length * 3)
      const lengthAt = this.#at
      this.#at += 4
      this.#text(value)
      const end = this.#at
      this.#at = lengthAt
      this.#int32(end - lengthAt - 4)
      this.#at = end
    } else {
      this.#room(4)
      this.#int32(value.length)
      this.copy(value)
    }
  }

  #name(name: string): void {
    this.#room(name.length * 3 + 1)
    this.#text(name)
    this.#byte(0)
  }

  /** Short ASCII goes byte by byte: a call into the runtime costs more than it. The caller has made room. */
  #text(text: string): void {
    const { length } = text
    if (length < 24) {
      let i = 0
      let at = this.#at
      for (; i < length; i++) {
        const code = text.charCodeAt(i)
        if (code > 127) break
        this.#buffer[at++] = code
      }
      if (i === length) {
        this.#at = at
        return
      }
    }
    this.#at += this.#buffer.write(text, this.#at)
  }

  #begin(kind: number): void {
    this.#room(16)
    this.#buffer[this.#at] = kind
    this.#start = this.#at + 1
    this.#at += 5
  }

  #end(): void {
    const end = this.#at
    this.#at = this.#start
    this.#int32(end - this.#start)
    this.#at = end
  }

  #byte(value: number): void {
    this.#buffer[this.#at++] = value
  }

  #int16(value: number): void {
    this.#buffer[this.#at++] = value >>> 8
    this.#buffer[this.#at++] = value
  }

  #int32(value: number): void {
    this.#buffer[this.#at++] = value >>> 24
    this.#buffer[this.#at++] = value >>> 16
    this.#buffer[this.#at++] = value >>> 8
    this.#buffer[this.#at++] = value
  }

  #room(bytes: number): void {
    if (this.#at + bytes <= this.#buffer.length) return
    const larger = Buffer.allocUnsafe(Math.max(this.#buffer.length * 2, this.#at + bytes))
    this.#buffer.copy(larger, 0, 0, this.#at)
    this.#buffer = larger
  }
}

/** PostgreSQL's CancelRequest: its length, the number that stands for it, and whom it is about. */
export function cancelRequest(processId: number, secretKey: number): Buffer {
  const message = Buffer.alloc(16)
  for (const [i, value] of [16, 80_877_102, processId, secretKey].entries()) message.writeInt32BE(value, i * 4)
  return message
}
