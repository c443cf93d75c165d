/** What is known about metrics beside their names. */
import { dcgmCatalogue } from "../../protocol/DcgmCatalogue.ts"
import type { Metrics } from "./Answers.ts"

/** The answer that these names are, each with its meaning where that is known. */
export const describeMetrics = (names: ReadonlyArray<string>): Metrics => ({
  data: names,
  count: names.length,
  metrics: names.map((name) => dcgmCatalogue.get(name) ?? { name })
})
