import { mkdtemp, rm } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { Effect, Layer } from "effect"
import { FileStoreConfig, layerFile } from "../../../src/layers/telemetry-store/file.ts"
import { telemetryStoreContract } from "../../contracts/TelemetryStore.contract.ts"

/** A folder that is there while the scope is open. */
const temporaryDirectory = Effect.acquireRelease(
  Effect.promise(() => mkdtemp(join(tmpdir(), "telemetry-file-"))),
  (directory) => Effect.promise(() => rm(directory, { recursive: true }))
)

const freshStore = (retentionMs?: number) =>
  Layer.unwrapScoped(
    Effect.map(temporaryDirectory, (directory) =>
      Layer.provide(layerFile, FileStoreConfig.layer({ directory, retentionMs }))
    )
  )

telemetryStoreContract("a file", freshStore())
