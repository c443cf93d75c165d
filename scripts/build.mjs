/**
 * Builds what the package holds: the program as one file, `dist/telemetry-pipeline.js`, which is its `bin`, and the modules
 * that `exports` names with their types, in `dist/lib`.
 */
import { execFile } from "node:child_process"
import { mkdir, rename, rm, writeFile } from "node:fs/promises"
import { createRequire } from "node:module"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import { promisify } from "node:util"
import { build } from "esbuild"

const root = fileURLToPath(new URL("..", import.meta.url))
const dist = join(root, "dist")

/** Packages that the program loads and does not hold: they come with a binary for each platform. */
export const native = ["libsql", "@node-rs/crc32"]

/** Writes the program into a folder; fails with what esbuild has to say. */
export const bundle = async (folder = dist) => {
  const { outputFiles } = await build({
    absWorkingDir: root,
    write: false,
    // A thread's program is a file of its own, which the program looks for beside itself. So is the image's health check.
    entryPoints: {
      "telemetry-pipeline": "src/main.ts",
      health: "src/health.ts",
      "database-thread": "src/layers/telemetry-store/file/database-thread.ts"
    },
    outdir: folder,
    external: native,
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
  await mkdir(folder, { recursive: true })
  for (const { path, contents } of outputFiles) {
    // In one step: whoever starts the program meanwhile has it from before or from after.
    const written = `${path}.${process.pid}`
    await writeFile(written, contents, { mode: 0o755 })
    await rename(written, path)
  }
}

/** Writes the library into a folder, afresh: a module that is gone must not be packed. */
export const library = async (folder = dist) => {
  const outDir = join(folder, "lib")
  await rm(outDir, { recursive: true, force: true })
  const compiler = createRequire(import.meta.url).resolve("typescript/bin/tsc")
  const options = ["-p", join(root, "tsconfig.build.json"), "--outDir", outDir]
  await promisify(execFile)(process.execPath, [compiler, ...options]).catch((failure) => {
    throw new Error(`the library does not compile:\n${failure.stdout}${failure.stderr}`)
  })
}

if (process.argv[1] === fileURLToPath(import.meta.url)) await Promise.all([bundle(), library()])
