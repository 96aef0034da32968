/**
 * How many times longer than on an idle machine a thing may take before a test calls it hung. Tests say what must not
 * hang; how quick things are is for the benchmarks.
 */
export const BUSY = 8
