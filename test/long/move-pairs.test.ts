import { testWalks } from '../move/support/walks.ts'

// From each model to each, within a model too, under as much as the machine has.
testWalks(
  [
    ['shared', 'shared', 'database', 'schema'],
    ['schema', 'schema', 'shared', 'database'],
    ['database', 'database', 'schema', 'shared'],
  ],
  { pauseMs: 0 },
)
