/** Servers for the benches of the wire: the broker over what it may store in, and the floor. */
import { once } from "node:events"
import { mkdtempSync, rmSync } from "node:fs"
import { createServer } from "node:net"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { Context, Effect, Exit, Layer, Scope } from "effect"
import { BrokerServer, BrokerServerConfig } from "../../src/layers/BrokerServer.ts"
import { BrokerConfig, layerEmbedded } from "../../src/layers/broker/embedded.ts"
import { layerTcpServer } from "../../src/layers/broker-server/tcp.ts"
import * as Files from "../../src/layers/Files.ts"
import * as FileJournal from "../../src/layers/journal/files.ts"
import * as MemoryJournal from "../../src/layers/journal/memory.ts"
import { layerMemory, MemoryLogConfig } from "../../src/layers/offset-log/memory.ts"
import { layerSegments, SegmentLogConfig } from "../../src/layers/offset-log/segments.ts"
import * as Rejects from "../../src/layers/Rejects.ts"
import * as Scheduler from "../../src/layers/Scheduler.ts"
import { segmentsPerRetention } from "../../src/protocol/Limits.ts"
import { serveFloor } from "./Floor.ts"

export interface Served {
  readonly port: number
  readonly close: () => Promise<void>
}

export const fsyncModes = ["always", "interval", "never"] as const

/** Where a broker keeps its log: in memory, or in files of a temporary folder. */
export type Storage = "memory" | (typeof fsyncModes)[number]

export interface BrokerOptions {
  readonly storage: Storage
  readonly retentionBytes: number
}

export const floor = async (): Promise<Served> => {
  const server = createServer(serveFloor())
  server.listen(0, "127.0.0.1")
  await once(server, "listening")
  return {
    port: (server.address() as { port: number }).port,
    close: async () => {
      server.close()
    }
  }
}

const memory = (segmentBytes: number) =>
  Layer.merge(Layer.provide(layerMemory, MemoryLogConfig.layer({ segmentBytes })), MemoryJournal.layerMemory)

const files = (directory: string, fsync: (typeof fsyncModes)[number], segmentBytes: number) =>
  Layer.merge(
    Layer.provide(
      layerSegments,
      SegmentLogConfig.layer({ directory: join(directory, "log"), fsync, segmentBytes })
    ),
    Layer.provide(
      FileJournal.layerFiles,
      FileJournal.FileJournalConfig.layer({ directory: join(directory, "journal"), fsync })
    )
  ).pipe(Layer.provide(Files.layerNode))

/** A broker that drops its oldest records where its log is full, so that nobody ever waits for a subscriber. */
export const serveBroker = async ({ storage, retentionBytes }: BrokerOptions): Promise<Served> => {
  const directory = storage === "memory" ? undefined : mkdtempSync(join(tmpdir(), "bench-broker-"))
  const scope = Effect.runSync(Scope.make())
  const segmentBytes = Math.ceil(retentionBytes / segmentsPerRetention)
  const layer = layerTcpServer.pipe(
    Layer.provide([
      layerEmbedded.pipe(
        Layer.provide([
          storage === "memory" || directory === undefined
            ? memory(segmentBytes)
            : files(directory, storage, segmentBytes),
          Rejects.layer,
          BrokerConfig.layer({ retentionBytes, whenFull: "drop_oldest" })
        ])
      ),
      Rejects.layer,
      BrokerServerConfig.layer({ port: 0 })
    ]),
    Layer.provideMerge(Scheduler.layer)
  )
  const built = await Effect.runPromise(Scope.extend(Layer.build(Layer.fresh(layer)), scope))
  return {
    port: Context.get(built, BrokerServer).address.port,
    close: async () => {
      await Effect.runPromise(Scope.close(scope, Exit.void))
      if (directory !== undefined) rmSync(directory, { recursive: true, force: true })
    }
  }
}
