/** What may be set about collectors. */
import { hostname } from "node:os"
import { idCharsMax } from "../InstanceIds.ts"
import { group, make, makeLate } from "../Setting.ts"
import { duration, integer, startOffset, text } from "./kinds.ts"

/** Collectors of one process: each takes up to its credit, and decodes and writes everything once more. */
const collectorsMax = 64

export const collectorSettings = group("Collector", {
  collectorId: makeLate({
    env: "COLLECTOR_ID",
    aliases: ["INSTANCE_ID"],
    meaning:
      "The name under which the broker keeps the collector's checkpoint; of several, what their names begin with",
    kind: text("ID", idCharsMax),
    default: () => `collector-${hostname()}`,
    shown: "collector-<hostname>"
  }),
  collectors: make({
    env: "COLLECTORS",
    meaning: "How many collectors read the log, each all of it; they are named <id>-0, <id>-1 and so on",
    kind: integer({ min: 1, max: collectorsMax }),
    default: 1
  }),
  startOffset: make({
    env: "START_OFFSET",
    flag: "from",
    meaning: "Where a collector starts in the log while it has no checkpoint",
    kind: startOffset,
    default: "earliest"
  }),
  flushIntervalMs: make({
    env: "FLUSH_INTERVAL",
    meaning:
      "A ceiling for how long a sample waits to be written; never reached, as a write starts when the one before ends",
    kind: duration(),
    default: 10_000
  })
})
