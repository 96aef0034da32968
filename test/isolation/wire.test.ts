import { expect, test } from 'vitest'
import { Batch, type Step, type Wire } from '../../tiers/pg/batch.ts'
import { StatementCache } from '../../tiers/pg/statement-cache.ts'

const step = (text: string, params: unknown[] = []): Step => ({ text, params, prepared: false, rows: 'object' })

function bytesOf(steps: readonly Step[]): Buffer {
  const written: Buffer[] = []
  const stream = { writable: true, write: (messages: Buffer) => written.push(Buffer.from(messages)) }
  new Batch(steps, new StatementCache(10)).submit({ stream } as unknown as Wire)
  return Buffer.concat(written)
}

test('a batch that cannot be written leaves nothing in front of the next one, which is another tenant’s', () => {
  const next = [step('select 2')]
  const alone = bytesOf(next)
  const circular: Record<string, unknown> = {}
  circular.self = circular
  expect(() => bytesOf([step(`select 'secret of a'`), step('select $1', [circular])])).toThrow(/circular/i)
  expect(bytesOf(next)).toEqual(alone)
})

test('one step is one Parse: a text that holds message bytes stays inside its own message', () => {
  const forged = `select 1\0${String.fromCharCode(0, 0)}Q\0\0\0\x0dselect 2\0`
  const bytes = bytesOf([step(forged)])
  expect(bytes[0]).toBe(0x50)
  expect(kindsOf(bytes)).toBe('PBDES')
})

function kindsOf(bytes: Buffer): string {
  let kinds = ''
  for (let at = 0; at < bytes.length; at += 1 + bytes.readInt32BE(at + 1)) kinds += String.fromCharCode(bytes[at]!)
  return kinds
}
