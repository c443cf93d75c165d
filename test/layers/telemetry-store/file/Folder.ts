/** Folders and stores in them, for the tests of the file store. */
import { mkdtemp, rm } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { Effect, Layer } from "effect"
import { TelemetryStore } from "../../../../src/layers/TelemetryStore.ts"
import { FileStoreConfig, layerFile } from "../../../../src/layers/telemetry-store/file.ts"

/** A folder that is there while the scope is open. */
export const temporaryDirectory = Effect.acquireRelease(
  Effect.promise(() => mkdtemp(join(tmpdir(), "telemetry-file-"))),
  (directory) => Effect.promise(() => rm(directory, { recursive: true }))
)

/** The store in a folder. */
export const storeIn = (directory: string, retentionMs?: number) =>
  Layer.provide(layerFile, FileStoreConfig.layer({ directory, retentionMs }))

/** A store in a folder of its own, each time it is built. */
export const freshStore = (retentionMs?: number) =>
  Layer.unwrapScoped(Effect.map(temporaryDirectory, (directory) => storeIn(directory, retentionMs)))

/** Opens the store in a folder, uses it and closes it. */
export const using = <A, E>(
  directory: string,
  use: (store: TelemetryStore["Type"]) => Effect.Effect<A, E>,
  retentionMs?: number
) => Effect.provide(Effect.flatMap(TelemetryStore, use), Layer.fresh(storeIn(directory, retentionMs)))
