import { crashSuite } from './crash.ts'

crashSuite({ shared: 12, schema: 60, database: 90, migration: 80 })
