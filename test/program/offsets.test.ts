/** Checkpoints of a running broker, seen and set from outside. */
import { fileURLToPath } from "node:url"
import { afterAll, beforeAll, expect, test } from "vitest"
import { eventually, type Program, start } from "./Program.ts"

const sampleFile = fileURLToPath(new URL("../../deploy/sample/dcgm_metrics.csv", import.meta.url))

let program: Program
let port: string
beforeAll(async () => {
  const flags = [
    "--csv",
    sampleFile,
    "--no-loop",
    "--timestamps",
    "original",
    "--rate",
    "max",
    "--batch-size",
    "10"
  ]
  program = await start([...flags, "--collector-id", "c", "--collectors", "2"])
  port = (await program.says(/TCP +\S+:(\d+)/))[1]!
  await eventually(
    async () => (await offsets("list")).said,
    (said) => /^c-1 +(\d+) +0 /m.test(said) && !/^c-1 +0 /m.test(said)
  )
})
afterAll(async () => {
  program.signal("SIGTERM")
  await program.exit
})

const offsets = async (...words: ReadonlyArray<string>) => {
  const asked = await start(["offsets", ...words], { MQ_PORT: port })
  return { exit: await asked.exit, said: asked.said() }
}

const offsetOf = async (id: string) =>
  Number(new RegExp(`^${id} +(\\d+)`, "m").exec((await offsets("list")).said)![1])

test("are listed with their offsets, how far they are behind, and who is there", async () => {
  const { exit, said } = await offsets("list")
  expect(exit).toBe(0)
  expect(said).toMatch(
    /^the log holds offsets 0 to \d+; the next message gets \d+\nID +OFFSET +LAG +CONNECTED +LAST SEEN\n/
  )
  expect(said).toMatch(/^c-0 +(\d+) +0 +yes +\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$/m)
})

test("are set to a place, and whoever is subscribed goes on from there to the end", async () => {
  const end = await offsetOf("c-0")
  const received = async () => {
    const text = await (await program.get("/metrics")).text()
    return Number(/telemetry_collector_messages_received_total\{collector="c-0"\} (\d+)/.exec(text)![1])
  }
  expect(await received()).toBe(end)
  const nearest = " (the log has nothing where you asked for: this is the nearest)"
  for (const [place, offset, note] of [
    ["earliest", 0, ""],
    ["5", 5, ""],
    ["1000000", end, nearest],
    ["2000-01-01T00:00:00Z", 0, ""],
    ["2100-01-01T00:00:00Z", end, nearest],
    ["latest", end, ""]
  ] as const) {
    const before = await received()
    expect(await offsets("set", "c-0", place)).toEqual({
      exit: 0,
      said: `c-0 is at offset ${offset}, ${end - offset} to go${note}\n`
    })
    await eventually(received, (now) => now === before + end - offset)
  }
  expect(await offsetOf("c-1")).toBe(end)
})

test("of nobody are refused, and so is a place that is none", async () => {
  expect(await offsets("set", "nobody", "5")).toEqual({ exit: 1, said: "nobody has no checkpoint\n" })
  expect((await offsets("set", "c-0", "-1")).exit).toBe(1)
})

test("of a broker that is not there are told so", async () => {
  const asked = await start(["offsets", "list", "--mq-port", "1"])
  expect(await asked.exit).toBe(1)
  expect(asked.said()).toBe("broker: localhost:1 refuses connections\n")
})
