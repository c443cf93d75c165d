/** Bundles the program into one file, `dist/telemetry-pipeline.js`, which is the package's `bin`. */
import { chmod } from "node:fs/promises"
import { build } from "esbuild"

const outfile = "dist/telemetry-pipeline.js"

await build({
  entryPoints: ["src/main.ts"],
  outfile,
  bundle: true,
  minify: true,
  keepNames: true,
  platform: "node",
  target: "node20",
  format: "esm",
  legalComments: "none",
  // Some of the bundled packages are CommonJS and require Node's modules, which a module bundle has no `require` for.
  banner: {
    js: 'import { createRequire as bundleRequire } from "node:module"; const require = bundleRequire(import.meta.url);'
  }
})
await chmod(outfile, 0o755)
