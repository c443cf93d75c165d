/** Writes the sample that the product ships (deploy/sample): `npx tsx scripts/make-sample.ts`. */
import { writeFileSync } from "node:fs"
import { Effect } from "effect"
import { sampleCsv, samplePath } from "./sample-csv.ts"

writeFileSync(samplePath, Effect.runSync(sampleCsv))
