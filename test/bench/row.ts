/** A goal beside a result. It is printed, never asserted: numbers depend on the machine. */
export interface Goal {
  readonly of: string
  readonly atLeast?: number
  readonly atMost?: number
}

/** One line of the table. */
export interface Row {
  readonly bench: string
  readonly what: string
  readonly value: number
  readonly unit: 'op/s' | 'rows/s' | 'requests' | 'ms' | 'ns' | 'bytes' | 'MB' | '%'
  /** How this compares to each alternative that was measured between its own rounds. */
  readonly ratios?: Readonly<Record<string, number>>
  readonly goals?: readonly Goal[]
}

export interface GoalResult extends Goal {
  readonly measured: number
  readonly met: boolean
}

export function goalsOf(row: Row): GoalResult[] {
  return (row.goals ?? []).map((goal) => {
    const measured = row.ratios?.[goal.of] ?? row.value
    const met = measured >= (goal.atLeast ?? -Infinity) && measured <= (goal.atMost ?? Infinity)
    return { ...goal, measured, met }
  })
}
