/**
 * Runs a program of this folder in a process of its own, bundled: tsx makes every closure keep its name, which slows what
 * makes many of them to half its speed.
 */
import { spawn } from "node:child_process"
import { once } from "node:events"
import { mkdir, writeFile } from "node:fs/promises"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import { build } from "esbuild"

const pathOf = (relative: string) => fileURLToPath(new URL(relative, import.meta.url))

/** Bundles as the program is bundled, but for names that stay readable in a profile; answers where. */
export const bundle = async (name: string): Promise<string> => {
  const folder = pathOf("../node_modules/.cache/bench")
  await mkdir(folder, { recursive: true })
  await writeFile(join(folder, "package.json"), '{"type":"module"}')
  await build({
    entryPoints: {
      [name]: pathOf(`./${name}.ts`),
      "database-thread": pathOf("../src/layers/telemetry-store/file/database-thread.ts")
    },
    outdir: folder,
    external: ["libsql", "@node-rs/crc32"],
    bundle: true,
    platform: "node",
    target: "node20",
    format: "esm",
    logLevel: "warning",
    banner: {
      js: 'import { createRequire as bundleRequire } from "node:module"; const require = bundleRequire(import.meta.url);'
    }
  })
  return join(folder, `${name}.js`)
}

/** Runs it and lets it print; answers its exit code. */
export const runBundled = async (name: string, args: ReadonlyArray<string>): Promise<number> => {
  const file = await bundle(name)
  const child = spawn(process.execPath, ["--expose-gc", file, ...args], { stdio: "inherit" })
  const [code] = await once(child, "exit")
  return code ?? 1
}
