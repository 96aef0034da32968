import { testWalks } from '../move/support/walks.ts'

// From each model to each, within a model too.
testWalks([
  ['shared', 'shared', 'database', 'schema'],
  ['schema', 'schema', 'shared', 'database'],
  ['database', 'database', 'schema', 'shared'],
])
