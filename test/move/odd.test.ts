import { testOddWalk } from './support/odd-walk.ts'

testOddWalk(18)
