/** What may be set about the gateway. */
import { group, make } from "../Setting.ts"
import { duration, integer, port, text } from "./kinds.ts"

const page = integer({ min: 1, max: 1_000_000 }, "ROWS")

/** Those of a process that listens on `host` unless told. */
export const gatewaySettings = (host: string) =>
  group("Gateway", {
    apiHost: make({
      env: "API_HOST",
      meaning: "Address that REST is served on; 0.0.0.0 opens it to the network",
      kind: text("HOST"),
      default: host
    }),
    apiPort: make({
      env: "API_PORT",
      aliases: ["PORT"],
      meaning: "Port that REST is served on",
      kind: port,
      default: 8080
    }),
    readTimeoutMs: make({
      env: "API_READ_TIMEOUT",
      meaning: "How long a client may take to send its request",
      kind: duration(),
      default: 10_000
    }),
    writeTimeoutMs: make({
      env: "API_WRITE_TIMEOUT",
      meaning: "How long an answer may stand still before its connection is closed",
      kind: duration(),
      default: 10_000
    }),
    defaultLimit: make({
      env: "DEFAULT_LIMIT",
      meaning: "Rows of a page for which no limit is asked",
      kind: page,
      default: 100
    }),
    maxLimit: make({
      env: "MAX_LIMIT",
      aliases: ["MAX_PAGE_SIZE"],
      meaning: "Most rows of a page, whatever limit is asked",
      kind: page,
      default: 1_000
    }),
    expectedIntervalMs: make({
      env: "EXPECTED_INTERVAL",
      meaning: "How old the newest sample of a GPU may get before the GPU counts as stale",
      kind: duration(),
      default: 60_000
    })
  })
