/** NATS JetStream, as its own client uses it: a publish is acknowledged by the stream, an ordered consumer reads without acknowledging. */
import { writeFileSync } from "node:fs"
import { join } from "node:path"
import { jetstream, jetstreamManager, StorageType } from "@nats-io/jetstream"
import { connect, type NatsConnection } from "@nats-io/transport-node"
import type { Client, RunningServer, Storage } from "./Contender.ts"
import { startServer } from "./Server.ts"

const stream = "bench"
const subject = "bench.messages"
/** Messages that a consumer asks for at a time. */
const pulledMessages = 2_000

const configOf = (port: number, folder: string, storage: Storage): string => `
host: "127.0.0.1"
port: ${port}
jetstream {
  store_dir: "${folder}"
  max_mem: 4GB
  max_file: 8GB
  ${storage === "always" ? "sync_interval: always" : ""}
}
`

export const startNats = (program: string, storage: Storage): Promise<RunningServer> =>
  startServer(program, (port, folder) => {
    const path = join(folder, "nats.conf")
    writeFileSync(path, configOf(port, folder, storage))
    return ["--config", path]
  })

const connected = (port: number): Promise<NatsConnection> => connect({ servers: `127.0.0.1:${port}` })

export const nats: Client = {
  publisher: async ({ port, storage, payload }) => {
    const connection = await connected(port)
    const manager = await jetstreamManager(connection)
    const streams = await manager.streams.names().next()
    if (!streams.includes(stream)) {
      await manager.streams.add({
        name: stream,
        subjects: [subject],
        storage: storage === "memory" ? StorageType.Memory : StorageType.File
      })
    }
    const client = jetstream(connection, { timeout: 30_000 })
    const bytes = Buffer.from(payload)
    return {
      publish: (count) =>
        count === 1
          ? client.publish(subject, bytes)
          : Promise.all(Array.from({ length: count }, () => client.publish(subject, bytes))),
      close: () => connection.close()
    }
  },
  consume: async ({ port, consumers, messages }) => {
    await Promise.all(
      Array.from({ length: consumers }, async () => {
        const connection = await connected(port)
        const consumer = await jetstream(connection).consumers.get(stream)
        const arriving = await consumer.consume({ max_messages: pulledMessages })
        let left = messages
        for await (const _ of arriving) if (--left === 0) break
        await connection.close()
      })
    )
  }
}
