import { testZombies, us } from './support/zombie.ts'

// What a mover sends outside the transactions that hold its generation, with the mover asleep right before it. More of them
// are in test/long.
testZombies([
  ['before it makes a database', { point: 'state:preparing', during: 'move', home: us('free'), to: us('enterprise') }],
  ['before it removes a schema', { point: 'condemned', during: 'completion', home: us('pro'), to: us('free') }],
])
