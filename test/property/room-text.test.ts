import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { expect, test } from 'vitest'
import { createRoomText, PREPARED_CHARS_MAX } from '../../tiers/room/room-text.ts'

setFlagsFromString('--expose-gc')
const collect = runInNewContext('gc') as () => void

test('a text is put into each schema, however long it is, and long ones are not kept', () => {
  const roomText = createRoomText(1_000)
  collect()
  const before = process.memoryUsage().heapUsed
  for (let at = 0; at < 200; at++) {
    const text = `select ${at} from "{room}" -- ${'x'.repeat(16 * PREPARED_CHARS_MAX)}`
    for (const schema of ['a', 'b'])
      expect(roomText(text, schema).startsWith(`select ${at} from "${schema}" `)).toBe(true)
  }
  collect()
  // A tenth of them would be more.
  expect(process.memoryUsage().heapUsed - before).toBeLessThan(16 * 1024 * 1024)
})
