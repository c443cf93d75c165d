/** Redis Streams through ioredis: XADD, acknowledged by its answer, and XREAD by each consumer from the beginning. */
import { Redis } from "ioredis"
import type { Client, RunningServer, Storage } from "./Contender.ts"
import { startServer } from "./Server.ts"

const stream = "bench"
/** Messages that one XREAD answers at most. */
const readMessages = 1_000

/** A message: its id and its fields. */
type Entry = readonly [id: Buffer, fields: ReadonlyArray<Buffer>]

/** How it calls what we call by another name. */
const appendFsync = { always: "always", interval: "everysec", never: "no" } as const

export const startRedis = (program: string, storage: Storage): Promise<RunningServer> =>
  startServer(program, (port, folder) => [
    ...["--bind", "127.0.0.1", "--port", `${port}`, "--dir", folder, "--save", ""],
    ...(storage === "memory" ? [] : ["--appendonly", "yes", "--appendfsync", appendFsync[storage]])
  ])

export const redis: Client = {
  publisher: async ({ port, payload, inFlight }) => {
    // What is called in one turn goes out together, as its documentation advises for throughput.
    const client = new Redis({ port, host: "127.0.0.1", enableAutoPipelining: inFlight > 1 })
    const bytes = Buffer.from(payload)
    return {
      publish: (count) => {
        if (count === 1) return client.xadd(stream, "*", "p", bytes)
        const pipeline = client.pipeline()
        for (let index = 0; index < count; index++) pipeline.xadd(stream, "*", "p", bytes)
        return pipeline.exec()
      },
      close: () => client.quit()
    }
  },
  consume: async ({ port, consumers, messages }) => {
    await Promise.all(
      Array.from({ length: consumers }, async () => {
        const client = new Redis({ port, host: "127.0.0.1" })
        let last: string | Buffer = "0"
        for (let left = messages; left > 0; ) {
          const read: ReadonlyArray<readonly [Buffer, ReadonlyArray<Entry>]> | null =
            await client.xreadBuffer("COUNT", readMessages, "STREAMS", stream, last)
          const entries: ReadonlyArray<Entry> | undefined = read?.[0]?.[1]
          const newest: Entry | undefined = entries?.[entries.length - 1]
          if (newest === undefined) throw new Error(`${left} messages are missing`)
          left -= entries!.length
          last = newest[0]
        }
        await client.quit()
      })
    )
  }
}
