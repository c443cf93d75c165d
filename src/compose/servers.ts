/** The servers, as they were set. Each says by what setting it gets another port. */
import { Effect, Layer } from "effect"
import * as BrokerHttp from "../http/BrokerHttp.ts"
import * as Gateway from "../http/Gateway.ts"
import { GatewayConfig } from "../http/GatewayConfig.ts"
import { ListenError } from "../http/Listener.ts"
import * as Probe from "../http/ProbeHttp.ts"
import { type ReadinessCheck, ReadinessChecks } from "../http/ReadinessChecks.ts"
import { BrokerServerConfig, BrokerServerFailed } from "../layers/BrokerServer.ts"
import * as BrokerServer from "../layers/broker-server/tcp.ts"
import { Draining } from "../layers/Draining.ts"
import type { SettingRecord, Values } from "../layers/Setting.ts"
import type { brokerHttpSettings } from "../layers/settings/broker-http.ts"
import type { BrokerServerSettings } from "../layers/settings/broker-server.ts"
import type { gatewaySettings } from "../layers/settings/gateway.ts"
import { readTlsFiles } from "./tls.ts"

/** What sets another port: the variable and its flag. */
const setBy = (variable: string): string =>
  `${variable} or --${variable.toLowerCase().replaceAll("_", "-")} sets another`

const portSetBy = (variable: string) =>
  Layer.mapError(
    (error: ListenError) => new ListenError({ ...error, problem: `${error.problem} (${setBy(variable)})` })
  )

const isOfPort = (cause: unknown): boolean =>
  ["EADDRINUSE", "EACCES"].includes((cause as NodeJS.ErrnoException | undefined)?.code ?? "")

type Of<G extends (host: string) => { readonly settings: SettingRecord }> = Values<ReturnType<G>["settings"]>

export const gateway = ({ apiHost: host, apiPort: port, ...limits }: Of<typeof gatewaySettings>) =>
  Gateway.layer.pipe(portSetBy("API_PORT"), Layer.provide(GatewayConfig.layer({ ...limits, host, port })))

export const brokerHttp = ({ httpHost: host, httpPort: port }: Of<typeof brokerHttpSettings>) =>
  BrokerHttp.layer.pipe(
    portSetBy("HTTP_PORT"),
    Layer.provide(BrokerHttp.BrokerHttpConfig.layer({ host, port }))
  )

/** What lets peers in other processes publish and subscribe. A file of its that can't be read is told with its variable. */
export const brokerServer = ({ tls, ...settings }: BrokerServerSettings) =>
  BrokerServer.layerTcpServer.pipe(
    Layer.mapError((error) =>
      isOfPort(error.cause)
        ? new BrokerServerFailed({ ...error, problem: `${error.problem} (${setBy("TCP_PORT")})` })
        : error
    ),
    Layer.provide(
      BrokerServerConfig.layer({
        ...settings,
        tls: tls && {
          certPath: tls.certificate!,
          keyPath: tls.key!,
          ...(tls.ca === undefined ? {} : { clientCaPath: tls.ca })
        }
      })
    ),
    (server) => Layer.unwrapEffect(Effect.as(tls === undefined ? Effect.void : readTlsFiles(tls), server))
  )

/** What tells how a process is doing that has no other server. */
export const probe = (host: string, port: number) => Probe.layer({ host, port }).pipe(portSetBy("PROBE_PORT"))

/** Beside what they answer from, servers are ready while the process is not ending, and while these are. */
export const readyWhile = <R = never>(
  checks: Effect.Effect<ReadonlyArray<ReadinessCheck>, never, R> = Effect.succeed([])
) =>
  Layer.effect(
    ReadinessChecks,
    Effect.gen(function* () {
      return [(yield* Draining).check, ...(yield* checks)]
    })
  )
