/** What may be set about the HTTP server that tells how a streamer or a collector is doing. */
import { group, make } from "../Setting.ts"
import { everyAddress } from "./hosts.ts"
import { orNone, port, text } from "./kinds.ts"

export const probeSettings = group("Probe", {
  probeHost: make({
    env: "PROBE_HOST",
    meaning: "Address that /health, /ready, /metrics and /rejects are served on, where PROBE_PORT is set",
    kind: text("HOST"),
    default: everyAddress
  }),
  probePort: make({
    env: "PROBE_PORT",
    meaning: "Port that /health, /ready, /metrics and /rejects are served on; none serves nothing",
    kind: orNone(port),
    default: undefined
  })
})
