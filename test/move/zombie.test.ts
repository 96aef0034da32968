import { eu, testZombies, us } from './support/zombie.ts'

// What a mover sends outside the transactions that hold its generation, with the mover asleep right before it. More of them
// are in test/long.
testZombies([
  ['before it makes a schema', { point: 'state:preparing', during: 'move', home: us('free'), to: us('pro') }],
  ['before it makes a database', { point: 'state:preparing', during: 'move', home: us('free'), to: us('enterprise') }],
  ['before it removes a schema', { point: 'condemned', during: 'completion', home: us('pro'), to: us('free') }],
  ['before it removes API keys', { point: 'keys', during: 'completion', home: us('pro'), to: eu('pro') }],
])
