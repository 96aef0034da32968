import type { Faker } from '@faker-js/faker'

const BROWSERS = ['Firefox', 'Chrome', 'Safari', 'Edge']

/** Values to fill in, made once: choosing from a list is many times quicker than making each. */
interface Pools {
  readonly [placeholder: string]: readonly string[]
}

export type Fill = (template: string) => string

/** Makes the function that puts a value in the place of each `{placeholder}` of a text. */
export function textFiller(faker: Faker): Fill {
  const many = (make: () => string) => faker.helpers.multiple(make, { count: 100 })
  const pools: Pools = {
    invoice: many(() => `INV-${faker.string.numeric(5)}`),
    order: many(() => `ORD-${faker.string.numeric(6)}`),
    amount: many(() => faker.finance.amount({ min: 9, max: 2400, symbol: '$' })),
    weekday: many(() => faker.date.weekday()),
    count: many(() => String(faker.number.int({ min: 2, max: 60 }))),
    hour: many(
      () => `${faker.number.int({ min: 7, max: 19 })}:${faker.helpers.arrayElement(['00', '15', '30', '45'])}`,
    ),
    browser: many(() => `${faker.helpers.arrayElement(BROWSERS)} ${faker.number.int({ min: 118, max: 142 })}`),
  }
  return (template) =>
    template.replaceAll(/\{(\w+)\}/g, (_, placeholder: string) => faker.helpers.arrayElement(pools[placeholder]!))
}
