import { crashSuite } from '../contract/crash.ts'

crashSuite({ shared: 1, schema: 5, database: 7, migration: 7 })
