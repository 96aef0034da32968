import { expect, test } from 'vitest'
import { complete } from '../../gateway/cli/shell/complete.ts'
import { describing } from '../../gateway/cli/shell/statement.ts'
import { closeOnSignal } from '../../gateway/cli/signals.ts'

test('a statement ends at a semicolon that is not inside something', () => {
  const whole = (text: string, ...statements: string[]) => expect(complete(text)).toEqual({ statements, rest: '' })
  whole('select 1;', 'select 1')
  whole('select 1; select 2;', 'select 1', 'select 2')
  whole(`select ';''' || ";" -- ; \n;`, `select ';''' || ";" -- ;`)
  whole('select $$;$$, $a$ ; $$ $a$ /* ; */;', 'select $$;$$, $a$ ; $$ $a$ /* ; */')
  whole(';;  ;')
  for (const open of ["select '", 'select "a', 'select $x$ ;', 'select /* ;', 'select']) {
    expect(complete(open)).toEqual({ statements: [], rest: open })
  }
  expect(complete('select 1; select')).toEqual({ statements: ['select 1'], rest: ' select' })
})

test('what PostgreSQL reads as a string or a comment never runs as a statement', () => {
  const whole = (text: string) => expect(complete(`${text};`)).toEqual({ statements: [text], rest: '' })
  whole(String.raw`select E'it\'s; delete from tags; --'`)
  whole(String.raw`select e'\\', name'\', E'\\\'; delete from tags; '`)
  whole('/* a /* b */ ; delete from tags; */ select 1')
  whole('select a$1$b, c$x$')
  for (const open of [String.raw`select E'\'; delete from tags;`, '/* /* */ ; delete from tags;']) {
    expect(complete(open)).toEqual({ statements: [], rest: open })
  }
})

test('only a plain name is described', () => {
  expect(describing('\\d')).toContain('pg_class')
  expect(describing('\\d tickets')).toContain("'tickets'")
  expect(describing("\\d x' or true --")).toBeNull()
  expect(describing('select 1')).toBeNull()
})

test('one signal closes once, also when it comes twice; a later one ends the process', async () => {
  let nowMs = 0
  let closes = 0
  const exits: number[] = []
  const { promise, resolve } = Promise.withResolvers<void>()
  const done = closeOnSignal(
    () => {
      closes++
      return promise
    },
    { now: () => nowMs, exit: (code) => exits.push(code) },
  )
  process.emit('SIGINT', 'SIGINT')
  process.emit('SIGINT', 'SIGINT')
  expect([closes, exits]).toEqual([1, []])
  nowMs = 1_500
  process.emit('SIGTERM', 'SIGTERM')
  expect([closes, exits]).toEqual([1, [130]])
  resolve()
  expect(await done).toBe(0)
  process.removeAllListeners('SIGINT').removeAllListeners('SIGTERM')
})

test('what does not close in time is left, and the last chance is taken', async () => {
  const forced: string[] = []
  closeOnSignal(() => new Promise(() => {}), {
    graceMs: 10,
    onForce: () => forced.push('force'),
    exit: (code) => forced.push(String(code)),
  })
  process.emit('SIGTERM', 'SIGTERM')
  await expect.poll(() => forced).toEqual(['force', '130'])
  process.removeAllListeners('SIGINT').removeAllListeners('SIGTERM')
})
