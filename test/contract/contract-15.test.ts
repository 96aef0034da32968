import { contractSuite } from './suite.ts'

contractSuite('PostgreSQL 15:', { version: 15 })
