/** What a process says at its start: what runs where. */
import { Context, Effect, Layer } from "effect"
import { probe } from "../compose/servers.ts"
import { BrokerHttpAddress } from "../http/BrokerHttp.ts"
import { GatewayAddress } from "../http/Gateway.ts"
import { ProbeAddress } from "../http/ProbeHttp.ts"
import { Broker } from "../layers/Broker.ts"
import { BrokerServer } from "../layers/BrokerServer.ts"
import { Collectors } from "../layers/Collectors.ts"
import type { Values } from "../layers/Setting.ts"
import { Streamers } from "../layers/Streamers.ts"
import type { BrokerSettings } from "../layers/settings/broker.ts"
import type { BrokerClientSettings } from "../layers/settings/broker-client.ts"
import type { BrokerServerSettings } from "../layers/settings/broker-server.ts"
import { formatDuration } from "../layers/settings/duration.ts"
import { formatBytes } from "../layers/settings/kinds.ts"
import type { probeSettings } from "../layers/settings/probe.ts"
import type { SourceSettings } from "../layers/settings/source.ts"
import type { StoreSettings } from "../layers/settings/store.ts"
import type { StreamerSettings } from "../layers/settings/streamer.ts"
import { TelemetryStore } from "../layers/TelemetryStore.ts"
import { formatShard } from "../protocol/Shard.ts"
import { print } from "../terminal.ts"
import { count, told } from "./telling.ts"

const line = (what: string, text: string) => print(`${what.padEnd(11)}${text}`)

export const note = (text: string) => line("note", text)

/** Where samples come from, and who reads them. */
export const announceStreamers = (
  { source, loop, timestamps }: SourceSettings,
  { rate, shardBy, shard }: StreamerSettings
) =>
  Effect.gen(function* () {
    const pace = rate === "max" ? "as fast as it goes" : `${count(rate)} rows/s`
    const what =
      source.kind === "csv"
        ? (source.path ?? "the sample that is shipped")
        : `a simulated fleet of ${source.hosts} hosts with ${source.gpusPerHost} GPUs each`
    line("source", `${what}, ${loop ? "in a loop" : "once"}, ${pace}`)
    const ids = (yield* (yield* Streamers).progress).map(({ streamerId }) => streamerId)
    const isShared = shardBy === "host"
    const part = shard === undefined ? "" : `, the rows of part ${formatShard(shard)}`
    line(
      "streamers",
      `${told(ids, isShared ? "each the rows of its hosts" : "each reads everything")}${part}`
    )
    if (source.kind === "csv" && loop && timestamps === "original") {
      note(
        "with --timestamps original, every pass after the first stores the same samples again: nothing new"
      )
    }
    if (!isShared && ids.length > 1) {
      note(
        `with --shard-by none, every row is read ${ids.length} times, and stored ` +
          (timestamps === "now" ? "as often, each time with a time of its own" : "once")
      )
    }
  })

export const announceCollectors = Effect.gen(function* () {
  const ids = (yield* (yield* Collectors).progress).map(({ collectorId }) => collectorId)
  line("collectors", told(ids, "each reads the whole log"))
})

/** What a store does not keep. */
const boundTold = (store: StoreSettings): string => {
  switch (store.kind) {
    case "memory":
      return `, at most ${count(store.samplesMax)} samples; it ends with this process`
    case "file":
      return store.retentionMs === undefined
        ? ""
        : `, samples of the last ${formatDuration(store.retentionMs)}`
    case "influxdb":
      return ""
  }
}

export const announceStore = (store: StoreSettings) =>
  Effect.gen(function* () {
    line("store", `${(yield* TelemetryStore).description}${boundTold(store)}`)
    if (store.kind !== "file" && store.unusedFolder !== undefined) {
      note(`with STORAGE_TYPE ${store.kind} no samples are kept in ${store.unusedFolder}`)
    }
  })

/** Whether what is published outlives the process, and what it found of what was. */
export const announceLog = ({ log, retentionBytes, retentionMs }: BrokerSettings) =>
  Effect.gen(function* () {
    const age = retentionMs === null ? "" : ` and ${formatDuration(retentionMs)}`
    const bound = `at most ${formatBytes(retentionBytes)}${age}`
    if (log.kind === "memory") {
      line("log", `in memory, ${bound}; it ends with this process, --data DIR (DATA_DIR) keeps it`)
      return
    }
    line("log", `${log.directory}, ${bound}, FSYNC ${log.fsync}`)
    const { recovery } = (yield* (yield* Broker).stats).log
    if (recovery !== null) {
      const torn =
        recovery.tornBytes === 0
          ? ""
          : `, without ${count(recovery.tornBytes)} bytes that were never finished`
      line(
        "recovered",
        `${count(recovery.records)} messages in ${formatDuration(Math.ceil(recovery.durationMs))}${torn}`
      )
    }
  })

/** Where peers connect to. */
export const announceServer = ({ tls, token }: BrokerServerSettings) =>
  Effect.gen(function* () {
    const { host, port } = (yield* BrokerServer).address
    const secured = [tls === undefined ? [] : ["TLS"], token === undefined ? [] : ["token asked for"]].flat()
    line("TCP", [`${host}:${port}`, ...secured].join(", "))
  })

export const announceBrokerHttp = Effect.map(BrokerHttpAddress, ({ url }) => line("Broker", `${url}/stats`))

export const announceApi = Effect.map(GatewayAddress, ({ url }) => {
  line("API", `${url}/api/v1/gpus`)
  line("Swagger", `${url}/swagger/index.html`)
})

/** The server that tells how a process is doing, which says where it is; none where no port was set. */
export const announcedProbe = ({
  probeHost: host,
  probePort: port
}: Values<typeof probeSettings.settings>) =>
  port === undefined
    ? Layer.empty
    : Layer.tap(probe(host, port), (built) =>
        Effect.sync(() => line("probe", `${Context.get(built, ProbeAddress).url}/ready`))
      )

/** Which broker a streamer or a collector is of. */
export const announceClient = ({ host, port, tls }: BrokerClientSettings) =>
  Effect.sync(() => line("broker", `${host}:${port}${tls === undefined ? "" : ", TLS"}`))
