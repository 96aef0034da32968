import { defineConfig } from 'vitest/config'

/** What takes too long for `npm test`; `.ci/run` runs it. */
export default defineConfig({
  test: {
    include: ['test/long/**/*.test.ts'],
    maxWorkers: 1,
    testTimeout: 900_000,
    expect: { poll: { timeout: 10_000 } },
    hookTimeout: 600_000,
  },
})
