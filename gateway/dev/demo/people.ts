import type { Faker } from '@faker-js/faker'
import { DAY_MS, type Period } from './period.ts'

export interface Customer {
  readonly id: number
  readonly name: string
  readonly email: string
  readonly company: string
  readonly phone: string | null
  readonly custom: Record<string, unknown>
  readonly createdAt: Date
}

export interface Agent {
  readonly id: number
  readonly name: string
  readonly email: string
  readonly active: boolean
  readonly createdAt: Date
}

const PLANS = ['trial', 'team', 'business'] as const
/** So many were there from the first day, so that the first ticket has someone to come from. */
const FOUNDERS = 10

/** Customers in the order in which they came. Addresses end in `.example`, which belongs to nobody. */
export function makeCustomers(faker: Faker, period: Period, count: number): Customer[] {
  const companies = faker.helpers.uniqueArray(() => faker.company.name(), Math.ceil(count / 6))
  const addressOf = uniqueAddresses()
  const ages = Array.from({ length: count }, (_, at) => (at < FOUNDERS ? 0 : faker.number.float()))
  return ages
    .sort((a, b) => a - b)
    .map((age, at) => {
      const [first, last] = [faker.person.firstName(), faker.person.lastName()]
      const company = faker.helpers.arrayElement(companies)
      return {
        id: at + 1,
        name: `${first} ${last}`,
        email: addressOf(`${first}.${last}`, domainOf(company)),
        company,
        phone: faker.datatype.boolean(0.7) ? faker.phone.number({ style: 'international' }) : null,
        custom: { plan: faker.helpers.arrayElement(PLANS), seats: faker.number.int({ min: 1, max: 250 }) },
        createdAt: new Date(period.from.getTime() + age * (period.to.getTime() - period.from.getTime())),
      }
    })
}

/** The tenant's own staff, all of them there before the period begins. */
export function makeAgents(faker: Faker, period: Period, slug: string, count: number): Agent[] {
  const addressOf = uniqueAddresses()
  return Array.from({ length: count }, (_, at) => {
    const [first, last] = [faker.person.firstName(), faker.person.lastName()]
    return {
      id: at + 1,
      name: `${first} ${last}`,
      email: addressOf(first, `${slug}.example`),
      // Never the first, so that there is always someone to give a ticket to.
      active: at === 0 || faker.datatype.boolean(0.85),
      createdAt: new Date(period.from.getTime() - faker.number.int({ min: 1, max: 90 }) * DAY_MS),
    }
  })
}

function domainOf(company: string): string {
  return `${company.toLowerCase().replaceAll(/[^a-z0-9]+/g, '-')}.example`
}

/** Namesakes get a number. */
function uniqueAddresses(): (local: string, domain: string) => string {
  const taken = new Map<string, number>()
  return (local, domain) => {
    const name = local.toLowerCase().replaceAll(/[^a-z.]/g, '')
    const times = (taken.get(`${name}@${domain}`) ?? 0) + 1
    taken.set(`${name}@${domain}`, times)
    return times === 1 ? `${name}@${domain}` : `${name}${times}@${domain}`
  }
}
