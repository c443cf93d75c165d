/**
 * `node scripts/native.mjs FOLDER`: copies the native packages that the bundle loads, and what they require, into
 * FOLDER/node_modules. Of each package only what is loaded at run time, and its licence; of optional ones, which hold the
 * binaries, those that load on this machine: npm also installs binaries for C libraries that are not here.
 */
import { existsSync } from "node:fs"
import { cp, readFile } from "node:fs/promises"
import { createRequire } from "node:module"
import { basename, dirname, extname, join, relative } from "node:path"
import { fileURLToPath } from "node:url"
import { native } from "./build.mjs"

const root = fileURLToPath(new URL("..", import.meta.url))
const require = createRequire(import.meta.url)
const loadedExtensions = new Set([".js", ".cjs", ".mjs", ".json", ".node"])

/** Where a package is that another one requires: in its own node_modules, or in those of the folders above. */
const folderOf = (name, from) => {
  for (let folder = from; folder.startsWith(root) || `${folder}/` === root; folder = dirname(folder)) {
    const found = join(folder, "node_modules", name)
    if (existsSync(found)) return found
  }
}

const loads = (folder) => {
  try {
    require(folder)
    return true
  } catch {
    return false
  }
}

/** Folders of a package and of all that it requires. */
const closureOf = async (folder, found = new Set()) => {
  if (found.has(folder)) return found
  found.add(folder)
  const { dependencies = {}, optionalDependencies = {} } = JSON.parse(
    await readFile(join(folder, "package.json"), "utf8")
  )
  // npm repeats optional dependencies among the others.
  for (const name of new Set([...Object.keys(dependencies), ...Object.keys(optionalDependencies)])) {
    const required = folderOf(name, folder)
    if (name in optionalDependencies ? required !== undefined && loads(required) : true) {
      if (required === undefined) throw new Error(`${name} is not installed, which ${folder} requires`)
      await closureOf(required, found)
    }
  }
  return found
}

const target = process.argv[2]
if (target === undefined) throw new Error("usage: node scripts/native.mjs FOLDER")
const folders = new Set()
for (const name of native) await closureOf(join(root, "node_modules", name), folders)
for (const folder of folders) {
  await cp(folder, join(target, relative(root, folder)), {
    recursive: true,
    filter: (path) =>
      basename(path) !== "node_modules" &&
      (extname(path) === "" || loadedExtensions.has(extname(path)) || /^licen[cs]e/i.test(basename(path)))
  })
}
