import { attackSuite } from './attacks.ts'

attackSuite(18)
