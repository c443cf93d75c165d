/** Files that are there whole or not at all: made under another name, and renamed when they are on the disk. */
import { dirname } from "node:path"
import { Effect } from "effect"
import { type FileFailed, Files, type OpenFile } from "../../Files.ts"

/** What a file is called until it is whole; those of an interrupted attempt are removed when the log is opened. */
export const unfinishedExtension = ".new"

/** Makes a file, in place of one that has its name, by `fill`. What is returned is open to be written on. */
export const makeFile = <E>(
  path: string,
  fill: (file: OpenFile) => Effect.Effect<void, E, Files>
): Effect.Effect<OpenFile, E | FileFailed, Files> =>
  Effect.gen(function* () {
    const files = yield* Files
    const unfinished = path + unfinishedExtension
    const file = yield* files.open(unfinished, "create")
    yield* fill(file).pipe(
      Effect.zipRight(file.datasync),
      Effect.zipRight(files.rename(unfinished, path)),
      Effect.zipRight(files.syncDirectory(dirname(path))),
      Effect.tapError(() => Effect.zipRight(file.close, Effect.ignore(files.remove(unfinished))))
    )
    return { ...file, path }
  })
