/** `npm run test:deploy`: charts, image, compose, scripts. Apart from `npm test`, as it needs programs of others. */
import { fileURLToPath } from "node:url"
import { defineConfig } from "vitest/config"

export default defineConfig({
  root: fileURLToPath(new URL("../..", import.meta.url)),
  test: {
    include: ["test/deploy/**/*.test.ts"],
    // Containers share the machine's ports and its two cores.
    fileParallelism: false,
    testTimeout: 300_000,
    hookTimeout: 600_000
  }
})
