import { defineConfig } from "vitest/config"

export default defineConfig({
  test: {
    include: ["test/**/*.test.ts"],
    setupFiles: ["test/setup.ts"],
    // Property suites run hundreds of histories each; on two noisy cores a minute is a limit, not an expectation.
    testTimeout: 60_000,
    hookTimeout: 60_000
  }
})
