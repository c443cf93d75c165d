/** `npm run test:kubernetes`: the chart on a real cluster. Apart from `npm test`, as it needs one. */
import { fileURLToPath } from "node:url"
import { defineConfig } from "vitest/config"

export default defineConfig({
  root: fileURLToPath(new URL("../..", import.meta.url)),
  test: {
    include: ["test/kubernetes/**/*.test.ts"],
    // There is one cluster.
    fileParallelism: false,
    testTimeout: 300_000,
    hookTimeout: 600_000
  }
})
