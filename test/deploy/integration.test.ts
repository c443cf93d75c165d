/** The scripts that check a deployed gateway: the same in Bash and in PowerShell, content with ours, and not with a wrong one. */
import { once } from "node:events"
import { readFileSync } from "node:fs"
import { createServer, type Server } from "node:http"
import type { AddressInfo } from "node:net"
import { join } from "node:path"
import { afterAll, beforeAll, describe, expect, test } from "vitest"
import { type Program, start } from "../program/Program.ts"
import { describeWith, outcomeOf, root } from "./Tool.ts"

const bash = join(root, "test/integration/integration.sh")
const powerShell = join(root, "test/integration/Integration.ps1")

/** The names of the checks that a script makes, in their order. */
const checksOf = (path: string): ReadonlyArray<string> =>
  [...readFileSync(path, "utf8").matchAll(/^check '(.*?)'/gim)].map(([, name]) => name!)

const checks = checksOf(bash)

interface Answer {
  readonly status: number
  readonly type: string
  readonly text: string
}

/** Changes one text of an answer; what it does not find would make a test that proves nothing. */
const replaced = (answer: Answer, pattern: RegExp, by: string): Answer => {
  if (!pattern.test(answer.text)) throw new Error(`${pattern} is not in ${answer.text}`)
  return { ...answer, text: answer.text.replace(pattern, by) }
}

interface Rows {
  readonly data: ReadonlyArray<unknown>
  readonly count: number
}

const withData = (
  answer: Answer,
  change: (data: ReadonlyArray<unknown>) => ReadonlyArray<unknown>
): Answer => {
  const { data, ...others } = JSON.parse(answer.text) as Rows
  return { ...answer, text: JSON.stringify({ ...others, data: change(data) }) }
}

interface Fault {
  readonly check: string
  readonly isMeant: (url: URL) => boolean
  readonly alter: (answer: Answer) => Answer
}

const unknown = "/api/v1/gpus/GPU-00000000-unknown"
const reversed = (answer: Answer) => withData(answer, (data) => [...data].reverse())
const isTelemetry = ({ pathname }: URL) => /^\/api\/v1\/gpus\/[^/]+\/telemetry$/.test(pathname)
const isExport =
  (format: string) =>
  ({ pathname, searchParams }: URL) =>
    pathname.endsWith("/export") && searchParams.get("format") === format

/** What a gateway may do wrong, and which check is to see it. */
const faults: ReadonlyArray<Fault> = [
  {
    check: "health is 200 and healthy",
    isMeant: ({ pathname }) => pathname === "/health",
    alter: (answer) => replaced(answer, /"healthy"/, '"sick"')
  },
  {
    check: "readiness is 200 and ready",
    isMeant: ({ pathname }) => pathname === "/ready",
    alter: (answer) => replaced(answer, /"ready"/, '"soon"')
  },
  {
    check: "all GPUs are listed, each once",
    isMeant: ({ pathname, search }) => pathname === "/api/v1/gpus" && search === "",
    alter: reversed
  },
  {
    check: "GPUs are listed page by page",
    isMeant: ({ pathname, searchParams }) => pathname === "/api/v1/gpus" && searchParams.has("cursor"),
    alter: (answer) => withData(answer, () => [])
  },
  {
    check: "a GPU is described",
    isMeant: ({ pathname }) => /^\/api\/v1\/gpus\/[^/]+$/.test(pathname) && pathname !== unknown,
    alter: (answer) => replaced(answer, /"stale":(true|false)/, '"stale":"$1"')
  },
  {
    check: "the metrics of a GPU are listed",
    isMeant: ({ pathname }) => /^\/api\/v1\/gpus\/[^/]+\/metrics$/.test(pathname),
    alter: reversed
  },
  {
    check: "the metrics of all GPUs are listed",
    isMeant: ({ pathname }) => pathname === "/api/v1/metrics",
    alter: reversed
  },
  {
    check: "telemetry of a GPU is its own, newest first",
    isMeant: (url) => isTelemetry(url) && url.searchParams.get("limit") === "20",
    alter: reversed
  },
  {
    check: "telemetry is filtered by start_time and end_time, both inclusive",
    isMeant: (url) => isTelemetry(url) && url.searchParams.get("order") === "asc",
    alter: reversed
  },
  {
    check: "telemetry of a GPU that is not known is empty",
    isMeant: ({ pathname }) => pathname === `${unknown}/telemetry`,
    alter: (answer) => withData(answer, () => [{}])
  },
  {
    check: "telemetry is exported as JSON",
    isMeant: isExport("json"),
    alter: reversed
  },
  {
    check: "metrics are there for Prometheus",
    isMeant: ({ pathname }) => pathname === "/metrics",
    alter: (answer) => replaced(answer, /^# TYPE /gm, "# KIND ")
  },
  {
    check: "the OpenAPI document describes what is served",
    isMeant: ({ pathname }) => pathname === "/openapi.json",
    alter: (answer) => replaced(answer, /"openapi":"3/, '"openapi":"2')
  },
  {
    check: "a GPU that is not known is 404",
    isMeant: ({ pathname }) => pathname === unknown,
    alter: (answer) => ({ ...answer, type: "application/json" })
  },
  {
    check: "telemetry is filtered by metric_name",
    isMeant: (url) => isTelemetry(url) && url.searchParams.get("metric_name") === "NO_SUCH_METRIC",
    alter: (answer) => withData(answer, () => [{}])
  },
  {
    check: "telemetry of all GPUs is filtered by hostname and uuid",
    isMeant: ({ pathname, searchParams }) => pathname === "/api/v1/telemetry" && searchParams.has("hostname"),
    alter: (answer) => replaced(answer, /"hostname":"/, '"hostname":"not-')
  },
  {
    check: "telemetry is aggregated in windows",
    isMeant: ({ searchParams }) => searchParams.has("window"),
    alter: (answer) => replaced(answer, /"value":/, '"value":1')
  },
  {
    check: "pages by cursor repeat and skip nothing",
    isMeant: (url) => isTelemetry(url) && (url.searchParams.get("cursor") ?? "nonsense") !== "nonsense",
    alter: (answer) => withData(answer, (data) => [...data.slice(0, 1), ...data.slice(0, -1)])
  },
  {
    check: "pages by offset repeat and skip nothing",
    isMeant: (url) => isTelemetry(url) && url.searchParams.get("offset") === "6",
    alter: (answer) => withData(answer, (data) => data.slice(1))
  },
  {
    check: "telemetry is exported as CSV",
    isMeant: isExport("csv"),
    alter: (answer) => replaced(answer, /Timestamp,MetricName/, "MetricName,Timestamp")
  },
  {
    check: "telemetry is exported as NDJSON",
    isMeant: isExport("ndjson"),
    alter: (answer) => replaced(answer, /^.*\n/, "")
  },
  {
    check: "stats count what is stored",
    isMeant: ({ pathname }) => pathname === "/api/v1/stats",
    alter: (answer) => replaced(answer, /"total_metrics":\d+/, '"total_metrics":0')
  },
  {
    check: "a bad parameter is 400 and named",
    isMeant: ({ searchParams }) => searchParams.get("cursor") === "nonsense",
    alter: (answer) => ({ ...answer, status: 500 })
  },
  {
    check: "a path that is not there is 404",
    isMeant: ({ pathname }) => pathname === "/api/v1/no-such-path",
    alter: (answer) => ({ ...answer, status: 200 })
  },
  {
    check: "Swagger UI is served",
    isMeant: ({ pathname }) => pathname.startsWith("/swagger/index"),
    alter: (answer) => ({ ...answer, text: "<html></html>" })
  }
]

/** A gateway that does all of it wrong: it answers as the one behind it does, but for the faults. */
const faultyGateway = async (behind: string): Promise<Server> => {
  const server = createServer(async ({ url: path }, response) => {
    const url = new URL(path!, behind)
    const asked = await fetch(url, { redirect: "manual" })
    const headers = Object.fromEntries(asked.headers)
    const fault = faults.find(({ isMeant }) => isMeant(url))
    const answer: Answer = {
      status: asked.status,
      type: headers["content-type"]!,
      text: await asked.text()
    }
    const { status, type, text } = fault === undefined ? answer : fault.alter(answer)
    const disposition = headers["content-disposition"]
    response
      .writeHead(status, {
        "content-type": type,
        ...(disposition === undefined ? {} : { "content-disposition": disposition })
      })
      .end(text)
  }).listen(0, "127.0.0.1")
  await once(server, "listening")
  return server
}

test("the scripts make the same checks in the same order", () => {
  expect(checksOf(powerShell)).toEqual(checks)
  expect(new Set(checks).size).toBe(checks.length)
  expect(checks.length).toBeGreaterThan(20)
})

/** Says where a file breaks PowerShell's grammar: there is no PowerShell to be had for this kind of machine. */
const grammarCheck = `
import sys
from tree_sitter import Language, Parser
import tree_sitter_powershell
tree = Parser(Language(tree_sitter_powershell.language())).parse(open(sys.argv[1], "rb").read())
def wrong(node):
    if node.type == "ERROR" or node.is_missing:
        return [node.start_point[0] + 1]
    return [line for child in node.children for line in wrong(child)] if node.has_error else []
print(*wrong(tree.root_node))
`

describeWith(["python3"], "the PowerShell script", () => {
  test("keeps to PowerShell's grammar, and to what Windows PowerShell reads without a byte order mark", async (context) => {
    const { exitCode, stdout, stderr } = await outcomeOf("python3", ["-c", grammarCheck, powerShell])
    if (/No module named/.test(stderr) && process.env.CI !== "true") {
      console.warn(
        `SKIPPED: pip install tree-sitter tree-sitter-powershell: ${stderr.trim().split("\n").at(-1)}`
      )
      return context.skip()
    }
    expect({ exitCode, stdout: stdout.trim(), stderr }).toEqual({ exitCode: 0, stdout: "", stderr: "" })
    expect([...readFileSync(powerShell, "utf8")].filter((character) => character > "\u007e")).toEqual([])
  })
})

describeWith(["bash", "curl", "jq"], "against a gateway, the Bash script", () => {
  let program: Program
  beforeAll(async () => {
    program = await start([])
    await program.url()
  })
  afterAll(async () => {
    program.signal("SIGTERM")
    expect(await program.exit).toBe(0)
  })

  const run = (url: string, environment: NodeJS.ProcessEnv = {}, ...args: ReadonlyArray<string>) =>
    outcomeOf(bash, args, { env: { API_URL: url, ...environment } })

  test("passes where all is well", async () => {
    const { exitCode, stdout, stderr } = await run(`${await program.url()}/`)
    expect(stdout.split("\n").slice(1)).toEqual([
      ...checks.map((name) => `ok      ${name}`),
      `${checks.length} passed, 0 failed`,
      ""
    ])
    expect(stderr).toBe("")
    expect(exitCode).toBe(0)
  })

  test("names each check where the gateway is wrong in what it checks", async () => {
    const server = await faultyGateway(await program.url())
    try {
      const { exitCode, stdout } = await run(`http://127.0.0.1:${(server.address() as AddressInfo).port}`)
      const failed = [...stdout.matchAll(/^FAILED {2}(.*?): \S.*expected .*, got /gm)].map(([, name]) => name)
      expect(faults.map(({ check }) => check).sort()).toEqual([...checks].sort())
      expect(failed, stdout).toEqual(checks)
      expect(stdout).toContain(`0 passed, ${checks.length} failed`)
      expect(exitCode).toBe(1)
    } finally {
      server.close()
    }
  })

  test("fails where nobody answers, once it has waited", async () => {
    const { exitCode, stdout } = await run("http://127.0.0.1:1", { WAIT_SECONDS: "0" })
    expect(stdout).toContain("waited 0 s for 8 samples of a GPU at http://127.0.0.1:1, in vain")
    expect(stdout).toMatch(/nobody answers: .*connect/i)
    expect(exitCode).toBe(1)
  })

  describe("says how it is used", () => {
    test("when it is asked, and when it is used otherwise", async () => {
      const help = await run("", {}, "--help")
      expect(help.stdout).toMatch(/^Usage: .*API_URL.*WAIT_SECONDS/)
      expect(help.exitCode).toBe(0)
      const other = await run("", {}, "now")
      expect(other.stderr).toBe(help.stdout)
      expect(other.exitCode).toBe(2)
      const url = await run("nonsense")
      expect(url.stderr).toContain("API_URL: nonsense is not accepted, expected a URL such as")
      expect(url.exitCode).toBe(2)
      const wait = await run("", { WAIT_SECONDS: "long" })
      expect(wait.stderr).toContain("WAIT_SECONDS: long is not accepted, expected a whole number of seconds")
      expect(wait.exitCode).toBe(2)
    })
  })
})
