/**
 * `npm start`: builds, and becomes the program, in one process. The script says `exec`, because a shell between npm and the
 * program would die of a SIGTERM and leave the program behind.
 */
import { bundle } from "./build.mjs"

await bundle()
await import("../dist/telemetry-pipeline.js")
