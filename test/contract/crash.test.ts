import { crashSuite } from './crash.ts'

// Killed at fewer writes than in test/long.
crashSuite({ shared: 72, schema: 360, database: 600, migration: 520 })
