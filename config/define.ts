import type { ConfigInput } from './shape.ts'

/** Types the default export of `innkeeper.config.ts`. Nothing is checked or read here: that happens when a process starts. */
export function defineConfig(config: ConfigInput): ConfigInput {
  return config
}
