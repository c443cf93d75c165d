/** Folders for tests, gone with them. */
import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { Effect, Layer, type Scope } from "effect"

/** A new folder, until the scope closes. */
export const temporaryDirectory: Effect.Effect<string, never, Scope.Scope> = Effect.acquireRelease(
  Effect.sync(() => mkdtempSync(join(tmpdir(), "telemetry-"))),
  (directory) => Effect.sync(() => rmSync(directory, { recursive: true, force: true }))
)

/** A layer over a folder of its own. */
export const inDirectory = <A, E, R>(
  layer: (directory: string) => Layer.Layer<A, E, R>
): Layer.Layer<A, E, R> => Layer.unwrapScoped(Effect.map(temporaryDirectory, layer))
