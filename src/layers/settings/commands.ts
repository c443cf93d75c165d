/**
 * What may be set about each command: the groups that it takes, and the record that they give. The composition turns that
 * into the components' own configurations.
 */
import { Config } from "effect"
import type { Group, SettingRecord } from "../Setting.ts"
import { brokerSettings } from "./broker.ts"
import { brokerClientSettings } from "./broker-client.ts"
import { brokerHttpSettings } from "./broker-http.ts"
import { brokerServerSettings } from "./broker-server.ts"
import { collectorSettings } from "./collector.ts"
import { dataSettings } from "./data.ts"
import { gatewaySettings } from "./gateway.ts"
import { apiPortSettings, httpPortSettings, probePortSettings } from "./health.ts"
import { everyAddress, loopback } from "./hosts.ts"
import { administratorSettings } from "./influx-setup.ts"
import { probeSettings } from "./probe.ts"
import { logSettings, processSettings } from "./process.ts"
import { loneSourceSettings, sourceSettings } from "./source.ts"
import { influxSettings, sharedStoreSettings, storeSettings } from "./store.ts"
import { loneStreamerSettings, streamerSettings } from "./streamer.ts"

type AnyGroup = Group<SettingRecord, unknown>
type Groups = { readonly [component: string]: AnyGroup }

/** The record of what groups give. */
export type Settings<G extends Groups> = {
  readonly [C in keyof G]: G[C] extends Group<infer _, infer A> ? A : never
}

/** The settings of a command, by component and in the order in which they are shown. */
export interface CommandSettings<G extends Groups> {
  readonly groups: ReadonlyArray<AnyGroup>
  readonly config: Config.Config<Settings<G>>
}

const command = <G extends Groups>(groups: G): CommandSettings<G> => ({
  groups: Object.values(groups),
  config: Config.all(
    Object.fromEntries(Object.entries(groups).map(([component, { config }]) => [component, config]))
  ) as Config.Config<Settings<G>>
})

/** Everything in one process, open to this machine alone. */
export const runSettings = command({
  source: sourceSettings,
  streamer: streamerSettings,
  broker: brokerSettings("block"),
  brokerServer: brokerServerSettings(loopback),
  brokerHttp: brokerHttpSettings(loopback),
  collector: collectorSettings,
  store: storeSettings,
  gateway: gatewaySettings(loopback),
  process: processSettings
})
export type RunSettings = Config.Config.Success<typeof runSettings.config>

export const brokerProcessSettings = command({
  broker: brokerSettings("drop_oldest"),
  data: dataSettings,
  brokerServer: brokerServerSettings(everyAddress),
  brokerHttp: brokerHttpSettings(everyAddress),
  process: processSettings
})
export type BrokerProcessSettings = Config.Config.Success<typeof brokerProcessSettings.config>

export const streamerProcessSettings = command({
  source: loneSourceSettings,
  streamer: loneStreamerSettings,
  client: brokerClientSettings,
  probe: probeSettings,
  process: processSettings
})
export type StreamerProcessSettings = Config.Config.Success<typeof streamerProcessSettings.config>

export const collectorProcessSettings = command({
  collector: collectorSettings,
  client: brokerClientSettings,
  store: sharedStoreSettings,
  probe: probeSettings,
  process: processSettings
})
export type CollectorProcessSettings = Config.Config.Success<typeof collectorProcessSettings.config>

export const gatewayProcessSettings = command({
  store: sharedStoreSettings,
  gateway: gatewaySettings(everyAddress),
  process: processSettings
})
export type GatewayProcessSettings = Config.Config.Success<typeof gatewayProcessSettings.config>

/** A look at the checkpoints of a broker, and a hand on them. */
export const offsetsSettings = command({ client: brokerClientSettings, process: logSettings })
export type OffsetsSettings = Config.Config.Success<typeof offsetsSettings.config>

/** A question to the processes of this machine, at the ports that they are set to listen on. */
export const healthSettings = command({
  gateway: apiPortSettings,
  brokerHttp: httpPortSettings,
  probe: probePortSettings,
  process: logSettings
})
export type HealthSettings = Config.Config.Success<typeof healthSettings.config>

/** What makes an InfluxDB that is new ready for collectors and gateways. */
export const influxdbSettings = command({
  store: influxSettings,
  administrator: administratorSettings,
  process: logSettings
})
export type InfluxdbSettings = Config.Config.Success<typeof influxdbSettings.config>

/** Every command, the one that is meant where none is named first. */
export const commandSettings = {
  run: runSettings,
  broker: brokerProcessSettings,
  streamer: streamerProcessSettings,
  collector: collectorProcessSettings,
  gateway: gatewayProcessSettings,
  offsets: offsetsSettings,
  health: healthSettings,
  influxdb: influxdbSettings
}
export type CommandName = keyof typeof commandSettings
