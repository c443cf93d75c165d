/**
 * `npm start`: builds, and becomes the program. In one process, so that signals reach it and its exit code comes back
 * whatever shell npm uses.
 */
import { bundle } from "./build.mjs"

await bundle()
await import("../dist/telemetry-pipeline.js")
