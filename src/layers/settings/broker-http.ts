/** What may be set about the broker's own HTTP API. */
import { group, make } from "../Setting.ts"
import { hostOfAddress, port, portOfAddress, text } from "./kinds.ts"

/** Those of a process that listens on `host` unless told. */
export const brokerHttpSettings = (host: string) =>
  group("Broker HTTP", {
    httpHost: make({
      env: "HTTP_HOST",
      aliases: [["HTTP_ADDR", hostOfAddress]],
      meaning:
        "Address that the broker's own HTTP API is served on; 0.0.0.0 opens it to the network (HTTP_ADDR: host:port)",
      kind: text("HOST"),
      default: host
    }),
    httpPort: make({
      env: "HTTP_PORT",
      aliases: [["HTTP_ADDR", portOfAddress]],
      meaning: "Port that the broker's own HTTP API is served on (HTTP_ADDR: host:port)",
      kind: port,
      default: 9001
    })
  })
