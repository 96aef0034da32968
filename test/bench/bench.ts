import type { TestSystem } from '../support/system.ts'
import type { Row } from './row.ts'

export interface BenchWorld {
  readonly system: TestSystem
  /** For each case that is measured. */
  readonly seconds: number
  /** Of a tenant under load. */
  readonly moves: number
  /** Whole sizes, which take minutes to make. */
  readonly long: boolean
  /** Says what is being done, to people who wait. */
  note(text: string): void
}

export interface Bench {
  readonly name: string
  run(world: BenchWorld): Promise<Row[]>
}
