import { eu, testZombies, us } from '../move/support/zombie.ts'

// What a mover sends outside the transactions that hold its generation, with the mover asleep right before it.
testZombies([
  ['before it announces itself', { point: 'claimed', during: 'move', home: us('free'), to: us('pro') }],
  ['before it makes a schema', { point: 'state:preparing', during: 'move', home: us('free'), to: us('pro') }],
  ['before it makes a database', { point: 'state:preparing', during: 'move', home: us('free'), to: us('enterprise') }],
  ['when it has made a database', { point: 'room_made', during: 'move', home: us('free'), to: us('enterprise') }],
  ['before it brings API keys', { point: 'state:cutting_over', during: 'move', home: us('pro'), to: eu('pro') }],
  ['before it drops a database', { point: 'condemned', during: 'completion', home: us('enterprise'), to: us('free') }],
  ['before it removes API keys', { point: 'keys', during: 'completion', home: us('pro'), to: eu('pro') }],
  ['before it removes a schema', { point: 'condemned', during: 'completion', home: us('pro'), to: us('free') }],
  ['before it forgets the move', { point: 'emptied', during: 'completion', home: us('pro'), to: us('free') }],
])
