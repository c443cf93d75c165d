/** Folders that one process has at a time. */
import { existsSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { expect, it } from "@effect/vitest"
import { Effect } from "effect"
import { lockDirectory } from "../../src/layers/DirectoryLock.ts"
import { makeFolder } from "../../src/layers/Folders.ts"
import { temporaryDirectory } from "./Directories.ts"

it.scoped("a folder is made with those above it, and is one's own until it is given back", () =>
  Effect.map(temporaryDirectory, (directory) => {
    const folder = join(directory, "a", "b")
    const lock = lockDirectory(folder, "x.lock")
    expect(() => lockDirectory(folder, "x.lock")).toThrow("another process uses this folder")
    lock.close()
    lockDirectory(folder, "x.lock").close()
  })
)

it.scoped("what can't be a folder is said, and not tried for ever", () =>
  Effect.map(temporaryDirectory, (directory) => {
    const file = join(directory, "file")
    writeFileSync(file, "")
    expect(() => makeFolder(file)).toThrow("EEXIST")
    expect(() => makeFolder(join(file, "below"))).toThrow("ENOTDIR")
    // A folder that takes none: Node's recursive mkdir tries for ever there.
    if (existsSync("/proc/self")) expect(() => makeFolder("/proc/no/folder")).toThrow("ENOENT")
  })
)
