/** The health check that an image has, asked of real processes and of servers that are not well. */
import { once } from "node:events"
import { createServer, type RequestListener, type Server } from "node:http"
import type { AddressInfo } from "node:net"
import { afterAll, beforeAll, expect, test } from "vitest"
import { freePort, type Program, start } from "./Program.ts"

const servers: Array<Server> = []

/** The port of a server that answers everything so. */
const answering = async (listener: RequestListener): Promise<string> => {
  const server = createServer(listener).listen(0, "127.0.0.1")
  servers.push(server)
  await once(server, "listening")
  return String((server.address() as AddressInfo).port)
}

let broker: Program
let port: string
let nobody: string
beforeAll(async () => {
  broker = await start(["broker"])
  port = (await broker.says(/Broker +http:\S+:(\d+)\//))[1]!
  nobody = String(await freePort())
})
afterAll(async () => {
  for (const server of servers) server.close()
  broker.signal("SIGTERM")
  await broker.exit
})

const health = async (environment: Record<string, string>, ...urls: ReadonlyArray<string>) => {
  const asked = await start(["health", ...urls], environment)
  return { exit: await asked.exit, lines: asked.said().trimEnd().split("\n") }
}

const well = () => `http://127.0.0.1:${port}/health: 200 {"status":"healthy"`
const ill = '/health: 503 {"status": "no"}'

const unwell: RequestListener = (_, response) => {
  response.writeHead(503).end('{"status":\n"no"}')
}

test("a process that is well is found at its port, whether anybody listens at the others or not", async () => {
  for (const environment of [{ HTTP_ADDR: `:${port}`, HTTP_PORT: "" }, { PROBE_PORT: port }]) {
    const { exit, lines } = await health({ API_PORT: nobody, ...environment })
    expect(lines).toEqual([expect.stringContaining(well())])
    expect(exit).toBe(0)
  }
})

test("one that is not well makes it fail, with a line for that one", async () => {
  const illAt = await answering(unwell)
  const broken = await answering((request) => request.socket.destroy())
  const { exit, lines } = await health({ HTTP_PORT: port, API_PORT: illAt, PROBE_PORT: broken })
  expect(lines).toEqual([
    `http://127.0.0.1:${illAt}${ill}`,
    expect.stringMatching(`^http://127.0.0.1:${broken}/health: \\S`)
  ])
  expect(exit).toBe(1)
})

test("where nobody is there it fails, and names the ports", async () => {
  const { exit, lines } = await health({ API_PORT: nobody, PROBE_PORT: "none" })
  expect(lines).toEqual([
    "no process of this machine is there to be asked",
    `http://127.0.0.1:${nobody}/health: nobody listens there`
  ])
  expect(exit).toBe(1)
})

test("of URLs each has to be well", async () => {
  const [one, other] = [`http://127.0.0.1:${port}/health`, `http://127.0.0.1:${nobody}/health`]
  expect((await health({ API_PORT: nobody }, one, one)).exit).toBe(0)
  const { exit, lines } = await health({ HTTP_PORT: port }, one, other)
  expect(lines).toEqual([`${other}: nobody listens there`])
  expect(exit).toBe(1)
})
