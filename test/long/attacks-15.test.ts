import { describe } from 'vitest'
import { isInstalled } from '../contract/installed.ts'
import { attackSuite } from '../isolation/attacks.ts'

describe.skipIf(!isInstalled(15))('PostgreSQL 15:', () => attackSuite(15))
