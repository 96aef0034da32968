import { crashSuite } from './crash.ts'

crashSuite({ shared: 18, schema: 90, database: 150, migration: 130 })
