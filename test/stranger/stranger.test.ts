/** A peer written from CONTRACTS.md alone, in a process of its own, checks what the broker says and does. */
import { spawn } from "node:child_process"
import { once } from "node:events"
import { mkdtemp, rm } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import { expect, it } from "@effect/vitest"
import { Effect } from "effect"
import type { BrokerServerConfig } from "../../src/layers/BrokerServer.ts"
import type { BrokerConfig } from "../../src/layers/broker/embedded.ts"
import * as Scheduler from "../../src/layers/Scheduler.ts"
import { makeGround } from "../layers/broker/Ground.ts"
import { serve } from "../layers/broker/tcp/Served.ts"
import { start } from "../program/Program.ts"

/** Runs one of the peer's programs; answers what it said. */
const run = (program: string, ...flags: ReadonlyArray<string | number>) =>
  Effect.promise(async () => {
    const path = fileURLToPath(new URL(program, import.meta.url))
    const child = spawn(process.execPath, [path, ...flags.map(String)], {
      stdio: ["ignore", "pipe", "inherit"]
    })
    let said = ""
    child.stdout.setEncoding("utf8").on("data", (text) => {
      said += text
    })
    await once(child, "close")
    return said
  })

const served = (policy: Partial<BrokerConfig["Type"]>, settings: Partial<BrokerServerConfig["Type"]> = {}) =>
  Effect.gen(function* () {
    const { openBroker } = yield* makeGround(policy)
    return yield* serve(yield* openBroker, settings)
  })

/** Every check of a program held, and so many at least were made. */
const allHold = (said: string, least: number) => {
  const lines = said.split("\n")
  expect(
    lines.some((line) => line.startsWith("not ok")),
    said
  ).toBe(false)
  expect(lines.filter((line) => line.startsWith("ok")).length).toBeGreaterThanOrEqual(least)
}

it.scopedLive("the program does what the document says", () =>
  Effect.gen(function* () {
    const folder = yield* Effect.acquireRelease(
      Effect.promise(() => mkdtemp(join(tmpdir(), "telemetry-stranger-"))),
      (made) => Effect.promise(() => rm(made, { recursive: true, force: true }))
    )
    const program = yield* Effect.acquireRelease(
      Effect.promise(() =>
        start(["broker", "--data", folder], {
          TCP_HOST: "127.0.0.1",
          TCP_PORT: "0",
          MQ_RETRY_DELAY: "20ms",
          MQ_MAX_RETRIES: "2"
        })
      ),
      ({ signal, exit }) =>
        Effect.promise(() => {
          signal("SIGKILL")
          return exit
        })
    )
    const [, port] = yield* Effect.promise(() => program.says(/TCP +127\.0\.0\.1:(\d+)/))
    allHold(yield* run("checks.mjs", port!, 2), 30)
  })
)

it.scopedLive("what retention has dropped is told as the document says", () =>
  Effect.gen(function* () {
    const port = yield* served({ retentionBytes: 64 * 1024, whenFull: "drop_oldest" })
    allHold(yield* run("retention.mjs", port), 3)
  }).pipe(Effect.provide(Scheduler.layer))
)

it.scopedLive("where a token is set, nothing but a hello with it is served", () =>
  Effect.gen(function* () {
    const port = yield* served({}, { token: "secret" })
    allHold(yield* run("token.mjs", port, "secret"), 3)
  }).pipe(Effect.provide(Scheduler.layer))
)
