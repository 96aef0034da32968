import { crashSuite } from './crash.ts'

crashSuite({ shared: 36, schema: 180, database: 300, migration: 260 })
