import { crashSuite } from '../contract/crash.ts'

crashSuite({ shared: 2, schema: 15, database: 25, migration: 250 })
