/**
 * A process that writes to the store in a folder until it is killed: batch after batch, two in flight, telling of each that the store
 * has reported.
 */
import { writeSync } from "node:fs"
import { Effect } from "effect"
import { batchOf } from "./Batches.ts"
import { using } from "./Folder.ts"

const [directory, first] = process.argv.slice(2)

const writing = using(directory!, (store) => {
  let next = Number(first)
  const writeNext = Effect.suspend(() => {
    const batch = next++
    return Effect.andThen(store.write(batchOf(batch)), () => writeSync(1, `${batch}\n`))
  })
  return Effect.all([Effect.forever(writeNext), Effect.forever(writeNext)], { concurrency: 2 })
})

await Effect.runPromise(
  Effect.catchAll(writing, ({ message }) => Effect.sync(() => writeSync(1, `failed: ${message}\n`)))
)
