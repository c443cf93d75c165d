import { availableParallelism } from "node:os"
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
    // What these two need is installed by CI alone: `npm run test:deploy`, `npm run test:kubernetes`.
    exclude: ["test/deploy/**", "test/kubernetes/**"],
    // Vitest leaves a core to itself; on two, half of the machine would wait for sockets and child processes.
    maxWorkers: Math.max(2, availableParallelism() - 1),
    // Files share what they import: a third of the time went into loading Effect again for each of them.
    isolate: false,
    setupFiles: ["test/setup.ts"],
    globalSetup: ["test/influx/global.ts"],
    // Property suites run hundreds of histories each; on two noisy cores a minute is a limit, not an expectation.
    testTimeout: 60_000,
    hookTimeout: 60_000
  }
})
