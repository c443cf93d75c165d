import { fileURLToPath } from "node:url"
import { defineConfig } from "vitest/config"

const source = fileURLToPath(new URL("src/", import.meta.url))

export default defineConfig({
  resolve: {
    // Examples import the package by its name, as its users do; here that is its source.
    alias: [
      { find: /^telemetry-pipeline\/client$/, replacement: `${source}http/GatewayClient.ts` },
      { find: /^telemetry-pipeline\/(.*)$/, replacement: `${source}$1.ts` }
    ]
  },
  test: {
    include: ["test/**/*.test.ts"],
    setupFiles: ["test/setup.ts"],
    globalSetup: ["test/influx/global.ts"],
    // Property suites run hundreds of histories each; on two noisy cores a minute is a limit, not an expectation.
    testTimeout: 60_000,
    hookTimeout: 60_000
  }
})
