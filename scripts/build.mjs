/** Bundles the program into one file, `dist/telemetry-pipeline.js`, which is the package's `bin`. */
import { chmod } from "node:fs/promises"
import { fileURLToPath } from "node:url"
import { build } from "esbuild"

const root = fileURLToPath(new URL("..", import.meta.url))
const outfile = fileURLToPath(new URL("../dist/telemetry-pipeline.js", import.meta.url))

/** Writes the bundle; fails with what esbuild has to say. */
export const bundle = async () => {
  await build({
    absWorkingDir: root,
    entryPoints: ["src/main.ts"],
    outfile,
    bundle: true,
    minify: true,
    platform: "node",
    target: "node20",
    format: "esm",
    legalComments: "none",
    logLevel: "warning",
    // Some of the bundled packages are CommonJS and require Node's modules, for which a module has no `require`.
    banner: {
      js: 'import { createRequire as bundleRequire } from "node:module"; const require = bundleRequire(import.meta.url);'
    }
  })
  await chmod(outfile, 0o755)
}

if (process.argv[1] === fileURLToPath(import.meta.url)) await bundle()
