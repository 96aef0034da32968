import { testWalks } from './support/walks.ts'

// From each model to another; all nine pairs are in test/long.
testWalks([
  ['shared', 'database'],
  ['database', 'schema'],
  ['schema', 'shared'],
])
