#!/usr/bin/env node
/**
 * The program: everything in one process, or each part in one of its own.
 *
 *     source → streamer ──┐                       ┌── collector → store ─┐
 *                         ├── TCP ── broker ── TCP┤                      ├── gateway
 *     source → streamer ──┘                       └── collector → store ─┘
 *
 * `commands/` holds a module for each command: the picture of its layers, and what it does once they stand. `compose/`
 * makes a layer of what was set. Both are composition and nothing else.
 */
import { NodeContext } from "@effect/platform-node"
import { type Config, Effect, Layer, Logger, type LogLevel } from "effect"
import { type Invocation, makeCli } from "./cli.ts"
import { broker } from "./commands/broker.ts"
import { collector } from "./commands/collector.ts"
import { gateway } from "./commands/gateway.ts"
import { health } from "./commands/health.ts"
import { influxdbSetup } from "./commands/influxdb.ts"
import { offsets } from "./commands/offsets.ts"
import { run } from "./commands/run.ts"
import { streamer } from "./commands/streamer.ts"
import { load } from "./layers/Setting.ts"
import { commandSettings as settings } from "./layers/settings/commands.ts"
import { tellIgnoredVariables } from "./layers/settings/process.ts"
import { runProcess } from "./process.ts"
import { terminalLogger } from "./terminal.ts"

/** Reads the settings of a command, and does it with them. */
const withSettings = <A extends { readonly process: { readonly logLevel: LogLevel.LogLevel } }, E, R>(
  { config }: { readonly config: Config.Config<A> },
  command: (settings: A) => Effect.Effect<void, E, R>
) =>
  Effect.gen(function* () {
    const read = yield* load(config)
    yield* tellIgnoredVariables
    yield* command(read).pipe(Logger.withMinimumLogLevel(read.process.logLevel))
  })

const execute = (asked: Invocation) =>
  Effect.gen(function* () {
    switch (asked.command) {
      case "run":
        return yield* withSettings(settings.run, (read) => run(read, asked))
      case "broker":
        return yield* withSettings(settings.broker, broker)
      case "streamer":
        return yield* withSettings(settings.streamer, (read) => streamer(read, asked.once))
      case "collector":
        return yield* withSettings(settings.collector, collector)
      case "gateway":
        return yield* withSettings(settings.gateway, gateway)
      case "offsets":
        return yield* withSettings(settings.offsets, (read) => offsets(read, asked.action))
      case "health":
        return yield* withSettings(settings.health, (read) => health(read, asked.urls))
      case "influxdb":
        return yield* withSettings(settings.influxdb, influxdbSetup)
    }
  })

runProcess(
  Effect.provide(
    makeCli(execute)(process.argv),
    Layer.merge(NodeContext.layer, Logger.replace(Logger.defaultLogger, terminalLogger))
  )
)
