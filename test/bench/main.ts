import { parseArgs } from 'node:util'
import { makeBenchTable } from './alternatives.ts'
import type { Bench } from './bench.ts'
import { capture } from './capture.ts'
import { copy } from './copy.ts'
import { directory } from './directory.ts'
import { forward } from './forward.ts'
import { http } from './http.ts'
import { manyRooms } from './many-rooms.ts'
import { move } from './move.ts'
import { network } from './network.ts'
import { onboarding } from './onboarding.ts'
import { goalsOf, type Row } from './row.ts'
import { statements } from './statements.ts'
import { table } from './table.ts'
import { startWorld } from './world.ts'

const BENCHES: readonly Bench[] = [
  statements,
  network,
  http,
  forward,
  directory,
  onboarding,
  manyRooms,
  move,
  copy,
  capture,
]

const USAGE = `npm run bench -- [--only NAME] [--seconds N] [--moves N] [--long] [--json]

  --only NAME   ${BENCHES.map((b) => b.name).join(', ')}; may be given more than once
  --seconds N   for each case that is measured; 2 where left out
  --moves N     made under load, one after the other; 6 where left out, or 50 with --long
  --long        2,000 schemas and 200 databases instead of a tenth of them; 50 moves of 1,000,000 rows instead of 6 of 100,000, which takes two hours
  --json        the rows as JSON on standard output`

const { values: flags } = parseArgs({
  options: {
    only: { type: 'string', multiple: true },
    seconds: { type: 'string', default: '2' },
    moves: { type: 'string' },
    long: { type: 'boolean', default: false },
    json: { type: 'boolean', default: false },
    help: { type: 'boolean', default: false },
  },
})
const seconds = Number(flags.seconds)
const moves = Number(flags.moves ?? (flags.long ? 50 : 6))
const unknown = (flags.only ?? []).filter((name) => !BENCHES.some((b) => b.name === name))
if (flags.help || unknown.length > 0 || !(seconds > 0) || !(moves > 0)) {
  console.log(USAGE)
  process.exit(flags.help ? 0 : 2)
}

const note = (text: string) => process.stderr.write(`${text}\n`)
note('starting a server')
const system = await startWorld()
const rows: Row[] = []
try {
  await makeBenchTable(system)
  for (const bench of BENCHES) {
    if (flags.only !== undefined && !flags.only.includes(bench.name)) continue
    note(bench.name)
    try {
      rows.push(...(await bench.run({ system, seconds, moves, long: flags.long, note })))
    } catch (error) {
      // The other benches' rows are worth having.
      console.error(error)
      process.exitCode = 1
    }
  }
} finally {
  await system.close()
}
console.log(
  flags.json
    ? JSON.stringify(
        rows.map((row) => ({ ...row, goals: goalsOf(row) })),
        null,
        2,
      )
    : `\n${table(rows)}`,
)
