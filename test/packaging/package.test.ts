/** The package that `npm pack` makes: what it exports, holds and needs, and that it works where it is installed. */
import { readdirSync, readFileSync } from "node:fs"
import { cp, rm, writeFile } from "node:fs/promises"
import { dirname, join } from "node:path"
import { afterAll, beforeAll, expect, test } from "vitest"
import { install, type Project, root } from "./Package.ts"

let project: Project
beforeAll(async () => {
  project = await install()
}, 180_000)
afterAll(() => rm(project.folder, { recursive: true, force: true }))

/** Modules of `src`, as the package would name them. */
const modules = ["protocol", "actors", "layers", "http"].flatMap((room) =>
  readdirSync(join(root, "src", room), { recursive: true, encoding: "utf8" })
    .filter((path) => path.endsWith(".ts"))
    .map((path) => `${room}/${path.slice(0, -".ts".length)}`)
)

/** Whether a module in a folder is something that a service can stand on, and no part of one. */
const isEngine = (module: string): boolean =>
  module === "layers/telemetry-store/scanning" ||
  (/^layers\/[^/]+\/[^/]+$/.test(module) &&
    /^export const layer/m.test(readFileSync(join(root, `src/${module}.ts`), "utf8")))

/** What lies directly in a room is public but for the program's own settings, and so is every engine. */
const isPublic = (module: string): boolean =>
  (module.split("/").length === 2 && module !== "layers/Setting") || isEngine(module)
const published = ["client", ...modules.filter(isPublic)]
/** Programs of threads: a module starts them, and none imports them. */
const threads = ["layers/telemetry-store/file/database-thread"]

/** What a module of the packed library imports: files of the package, and packages. */
const importsOf = (file: string) => {
  const text = readFileSync(join(project.installed, file), "utf8")
  const found = [...text.matchAll(/^(?:import|export) (?:[^"]*? from )?"([^"]+)";$|import\("([^"]+)"\)/gm)]
  const specifiers = found.map(([, statement, inline]) => (statement ?? inline)!)
  return {
    // The compiler leaves the extensions of sources in declarations, and takes them for those of declarations.
    ours: specifiers
      .filter((path) => path.startsWith("."))
      .map((path) => join(dirname(file), path.replace(/\.ts$/, ".d.ts"))),
    others: specifiers
      .filter((path) => !path.startsWith("."))
      .map((path) => /^(node:\w+|@[^/]+\/[^/]+|[^/]+)/.exec(path)![0])
  }
}

/** Every file and every package that a module loads, or that its types name. */
const loaded = (module: string, extension: "js" | "d.ts") => {
  const files = new Set([`dist/lib/${module === "client" ? "http/GatewayClient" : module}.${extension}`])
  const packages = new Set<string>()
  for (const file of files) {
    const { ours, others } = importsOf(file)
    for (const path of ours) files.add(path)
    for (const name of others) packages.add(name)
  }
  return { files, packages }
}

test("what is public can be imported, and what is internal can't", async () => {
  const outcomes = `
    const outcomes = {}
    for (const name of process.argv.slice(1)) {
      outcomes[name] = await import("telemetry-pipeline/" + name).then(() => "imported", ({ code }) => code)
    }
    console.log(JSON.stringify(outcomes))`
  const names = ["client", ...modules]
  const found = JSON.parse(await project.prints("--input-type=module", "-e", outcomes, "--", ...names))
  expect(found).toEqual(
    Object.fromEntries(
      names.map((name) => [name, published.includes(name) ? "imported" : "ERR_PACKAGE_PATH_NOT_EXPORTED"])
    )
  )
})

test("it holds the program, its sample, and of the library what can be reached", () => {
  const reached = [...published, ...threads].flatMap((module) => [
    ...[...loaded(module, "js").files].map((path) => path.slice(0, -".js".length)),
    ...[...loaded(module, "d.ts").files].map((path) => path.slice(0, -".d.ts".length))
  ])
  const library = [...new Set(reached)].flatMap((path) => [`${path}.js`, `${path}.d.ts`])
  const programs = ["dist/database-thread.js", "dist/health.js", "dist/telemetry-pipeline.js"]
  const others = ["README.md", "deploy/sample/dcgm_metrics.csv", ...programs, "package.json"]
  expect([...project.packed].sort()).toEqual([...library, ...others].sort())
})

/** Whoever may load a package that is of use to some only. What is not named here nobody may load. */
const mayLoad: Record<string, RegExp> = {
  effect: /./,
  xstate: /^(actors|layers)\//,
  "@effect/platform": /^(client$|http\/)/,
  "@effect/platform-node": /^http\//,
  "@influxdata/influxdb-client": /^layers\/telemetry-store\/influx/,
  libsql: /^layers\/(telemetry-store\/file|offset-log\/segments|journal\/files|DirectoryLock)/,
  "@node-rs/crc32": /^layers\/(offset-log\/segments|journal\/files|Checksum)/,
  "csv-parse": /^layers\/telemetry-source\//
}

test("nobody loads what only others need, and the client nothing of Node", () => {
  const loads = [...published, ...threads].flatMap((module) =>
    [...loaded(module, "js").packages].map((name) => ({ module, name }))
  )
  const ofNode = loads.filter(({ name }) => name.startsWith("node:"))
  expect(ofNode.filter(({ module }) => !/^(layers|http)\//.test(module))).toEqual([])
  const ofOthers = loads.filter(({ name }) => !name.startsWith("node:"))
  expect(ofOthers.filter(({ module, name }) => !mayLoad[name]?.test(module))).toEqual([])
})

test("a strict project compiles against it and runs: the system with a store of its own, and the typed client", async () => {
  const folder = join(project.folder, "project")
  const compilerOptions = {
    ...{ target: "ES2022", lib: ["ES2023", "DOM"], module: "NodeNext", types: ["node"] },
    ...{ strict: true, exactOptionalPropertyTypes: true, noUncheckedIndexedAccess: true, skipLibCheck: true },
    ...{ rewriteRelativeImportExtensions: true, rootDir: ".", outDir: "out" }
  }
  await writeFile(
    join(folder, "tsconfig.json"),
    JSON.stringify({ compilerOptions, include: ["packaging", "examples"] })
  )
  for (const file of ["own-store", "whole-system", "client"]) {
    await cp(join(root, `test/examples/${file}.ts`), join(folder, `examples/${file}.ts`))
  }
  await cp(join(root, "test/packaging/consumer.ts"), join(folder, "packaging/consumer.ts"))
  const everything = published.map((name, i) => `export * as m${i} from "telemetry-pipeline/${name}"\n`)
  await writeFile(join(folder, "packaging/everything.ts"), everything.join(""))

  await project.prints("node_modules/typescript/bin/tsc", "-p", ".")
  const found = JSON.parse(await project.prints("out/packaging/consumer.js", join(folder, "samples.jsonl")))
  expect(found).toEqual({ machine: "streamer", gpus: 8, samples: expect.any(Number) })
  const stored = readFileSync(join(folder, "samples.jsonl"), "utf8").trim().split("\n")
  expect(stored.length).toBe(found.samples)
})

test("its program runs where it is installed, on the sample that it ships", async () => {
  const program = join(project.installed, "dist/telemetry-pipeline.js")
  expect(await project.prints(program, "--once", "--rate", "max")).toMatch(/samples stored [1-9]/)
})
