import { beforeEach, expect, test } from 'vitest'
import { AnswerBudget } from '../../tiers/pg/answer-budget.ts'
import type { TenantId } from '../../tiers/types.ts'

const [A, B, C, D] = ['a', 'b', 'c', 'd'] as TenantId[]
const RATE_LIMITED = expect.objectContaining({ code: 'rate_limited', retryAfterMs: expect.any(Number) })
const OVERLOADED = expect.objectContaining({ code: 'overloaded', retryAfterMs: expect.any(Number) })

let budget: AnswerBudget
beforeEach(() => {
  budget = new AnswerBudget({ freeBytes: 10, tenantBytesMax: 100, allBytesMax: 400 })
})

/** A request whose client takes its answer when the test says so. */
function request(tenant = A!) {
  let over = () => {}
  const hold = budget.hold(tenant, (callBack) => {
    over = callBack
  })
  /** The whole of an answer, in chunks, as a connection receives it. */
  const answer = (size: number) => {
    for (let at = 0; at < size; at += 7) {
      try {
        hold.grow(at, Math.min(size, at + 7))
      } catch (error) {
        hold.drop(at)
        throw error
      }
    }
  }
  return { hold, answer, over: () => over() }
}

test('a tenant holds no more than its allowance in all of its answers, and the first bytes of each count for nothing', () => {
  const { answer } = request()
  answer(60)
  answer(60)
  expect(() => answer(11)).toThrow(RATE_LIMITED)
  for (let n = 0; n < 1_000; n++) answer(10)
  expect(() => request().answer(11)).toThrow(RATE_LIMITED)
  request(B).answer(100)
})

test('what is held is given back once, when the request is over', () => {
  const first = request()
  first.answer(100)
  const second = request()
  expect(() => second.answer(100)).toThrow(RATE_LIMITED)
  first.over()
  first.over()
  first.hold.release()
  request().answer(100)
  expect(() => request().answer(30)).toThrow(RATE_LIMITED)
})

test('an answer that still arrives when its client has gone counts until it is there', async () => {
  const gone = request()
  const arriving = Promise.withResolvers<void>()
  const running = gone.hold.during(async () => {
    gone.answer(50)
    gone.over()
    await arriving.promise
    gone.hold.grow(50, 100)
  })
  expect(() => request().answer(100)).toThrow(RATE_LIMITED)
  arriving.resolve()
  await running
  request().answer(100)
})

test('an answer that nobody takes counts until nothing of its statement runs any more', async () => {
  const alone = budget.hold(A!)
  await alone.during(async () => {
    alone.grow(0, 100)
    expect(() => request().answer(100)).toThrow(RATE_LIMITED)
  })
  request().answer(100)
})

test('an answer that is not kept counts no longer', () => {
  const { hold, answer } = request()
  answer(100)
  hold.drop(100)
  hold.drop(5)
  answer(100)
  expect(() => request().answer(30)).toThrow(RATE_LIMITED)
})

test('what is left last is for answers that have begun', () => {
  const { hold, answer } = request()
  answer(90)
  expect(() => request().answer(11)).toThrow(RATE_LIMITED)
  hold.grow(90, 100)
})

test('an answer too large by itself is told so, whatever else is held', () => {
  const { hold } = request()
  expect(() => hold.grow(0, 101)).toThrow(expect.objectContaining({ code: 'payload_too_large' }))
  request().answer(100)
  expect(() => hold.grow(0, 101)).toThrow(expect.objectContaining({ code: 'payload_too_large' }))
})

test('however many tenants do not read, some is left for the next one', () => {
  for (const tenant of [A!, B!, C!]) request(tenant).answer(100)
  const fourth = request(D)
  fourth.answer(70)
  expect(() => request(D).answer(30)).toThrow(OVERLOADED)
  for (const name of ['e', 'f']) request(name as TenantId).answer(25)
  expect(() => request('g' as TenantId).answer(100)).toThrow(OVERLOADED)
  fourth.over()
  request('g' as TenantId).answer(50)
})
