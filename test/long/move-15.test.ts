import { testOddWalk } from '../move/support/odd-walk.ts'

testOddWalk(15)
