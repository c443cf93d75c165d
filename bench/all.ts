/**
 * Every bench in turn, or those that are named, each in a process of its own: `npm run bench`, `npm run bench:log`.
 *
 * They are bundled first: tsx makes every closure keep its name, which slows what makes many of them to half its speed.
 * What counts are ratios within one run, and whether the aims are met; rates say more about the machine.
 */
import { spawn } from "node:child_process"
import { once } from "node:events"
import { fileURLToPath } from "node:url"
import { build } from "esbuild"
import { machine } from "./Table.ts"

const everyName = ["csv", "log", "pipeline", "rest", "store"]
const wanted = process.argv.slice(2)
const names = wanted.length > 0 ? wanted : everyName

const pathOf = (relative: string) => fileURLToPath(new URL(relative, import.meta.url))

/** Bundles a bench as the program is bundled, but for names that stay readable in a profile; answers where. */
const bundle = async (name: string): Promise<string> => {
  const outfile = pathOf(`../node_modules/.cache/bench/${name}.mjs`)
  await build({
    entryPoints: [pathOf(`./${name}.ts`)],
    outfile,
    bundle: true,
    platform: "node",
    target: "node20",
    format: "esm",
    logLevel: "warning",
    banner: {
      js: 'import { createRequire as bundleRequire } from "node:module"; const require = bundleRequire(import.meta.url);'
    }
  })
  return outfile
}

/** Runs a bench and lets it print; answers whether it ended well. */
const run = async (name: string): Promise<boolean> => {
  const child = spawn(process.execPath, ["--expose-gc", await bundle(name)], { stdio: "inherit" })
  const [code] = await once(child, "exit")
  return code === 0
}

console.log(machine())
const failed: Array<string> = []
for (const name of names) {
  console.log(`\n${name}`)
  const startMs = performance.now()
  if (!(await run(name))) failed.push(name)
  console.log(`  took ${Math.round((performance.now() - startMs) / 1_000)} s`)
}
if (failed.length > 0) {
  console.error(`\nfailed: ${failed.join(", ")}`)
  process.exitCode = 1
}
