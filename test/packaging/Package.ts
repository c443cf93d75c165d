/** The package as it would be published, and an empty project that has it installed: packed, unpacked, without a network. */
import { execFile } from "node:child_process"
import { cp, mkdir, mkdtemp, readFile, symlink, writeFile } from "node:fs/promises"
import { tmpdir } from "node:os"
import { dirname, join } from "node:path"
import { fileURLToPath } from "node:url"
import { promisify } from "node:util"
import { bundle, library } from "../../scripts/build.mjs"

export const root = fileURLToPath(new URL("../..", import.meta.url))
const execute = promisify(execFile)

export interface Project {
  /** To be removed in the end. */
  readonly folder: string
  /** Files of the package, relative to it. */
  readonly packed: ReadonlyArray<string>
  /** Where the package is installed. */
  readonly installed: string
  /** What node prints when it runs something in the project; if that fails, so does this, and says what was printed. */
  readonly prints: (...args: ReadonlyArray<string>) => Promise<string>
}

/** What npm would install of the package's dependencies: nothing that only its developers have. */
const dependencies = async (): Promise<ReadonlyArray<string>> => {
  const { packages } = JSON.parse(await readFile(join(root, "package-lock.json"), "utf8"))
  return Object.entries<{ dev?: boolean; optional?: boolean }>(packages).flatMap(([path, entry]) =>
    /^node_modules\/(@[^/]+\/)?[^/]+$/.test(path) && !entry.dev && !entry.optional ? [path] : []
  )
}

/** Builds and packs in a folder of its own, as other tests build too, and installs the result in another. */
export const install = async (): Promise<Project> => {
  const folder = await mkdtemp(join(tmpdir(), "telemetry-package-"))
  const source = join(folder, "source")
  const project = join(folder, "project")
  const installed = join(project, "node_modules/telemetry-pipeline")
  await mkdir(installed, { recursive: true })
  await Promise.all([
    ...["package.json", "README.md", "deploy"].map((path) =>
      cp(join(root, path), join(source, path), { recursive: true })
    ),
    bundle(join(source, "dist")),
    library(join(source, "dist"))
  ])
  const { stdout } = await execute("npm", ["pack", "--json", "--ignore-scripts", "--offline"], {
    cwd: source
  })
  const [{ filename, files }] = JSON.parse(stdout)
  await execute("tar", ["-xzf", join(source, filename), "-C", installed, "--strip-components=1"])

  await writeFile(join(project, "package.json"), JSON.stringify({ type: "module" }))
  const own = ["node_modules/typescript", "node_modules/@types/node"]
  for (const path of [...(await dependencies()), ...own]) {
    await mkdir(dirname(join(project, path)), { recursive: true })
    await symlink(join(root, path), join(project, path))
  }
  return {
    folder,
    packed: files.map(({ path }: { path: string }) => path),
    installed,
    prints: async (...args) => {
      const env = { PATH: process.env.PATH, API_PORT: "0" }
      const { stdout, stderr } = await execute(process.execPath, args, { cwd: project, env }).catch(
        ({ message, stdout, stderr }) => {
          throw new Error(`${message}\n${stdout}${stderr}`)
        }
      )
      return stdout + stderr
    }
  }
}
