import { contractSuite } from '../contract/suite.ts'

contractSuite('PostgreSQL 15:', { version: 15 })
