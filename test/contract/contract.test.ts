import { contractSuite } from './suite.ts'

contractSuite('PostgreSQL 18:', { version: 18 })
