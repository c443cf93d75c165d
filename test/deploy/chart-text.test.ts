/** What people read of the chart: its values with their comments, its notes; and the script of `helm test`, against servers. */
import { cp, mkdtemp, readFile, rename, rm, writeFile } from "node:fs/promises"
import { createServer, type Server } from "node:http"
import type { AddressInfo } from "node:net"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { afterAll, beforeAll, describe, expect, it } from "vitest"
import { isMap, isScalar, type Pair, parseDocument, type YAMLMap } from "yaml"
import { chart, render } from "./Chart.ts"
import { ofKind } from "./ChartObjects.ts"
import { describeWith, outcomeOf } from "./Tool.ts"

/** Kubernetes' own: what they are is told once, at the top. */
const ofKubernetes = [
  ...["resources", "podAnnotations", "nodeSelector", "tolerations", "affinity", "topologySpreadConstraints"],
  "priorityClassName"
]

describe("the chart's values", () => {
  it("are explained by a comment each", async () => {
    const text = await readFile(join(chart, "values.yaml"), "utf8")
    const document = parseDocument(text)
    const unexplained = (map: YAMLMap, path: string): ReadonlyArray<string> =>
      (map.items as Array<Pair>).flatMap(({ key, value }, index) => {
        if (!isScalar(key)) return []
        const name = `${path}${key.value}`
        // Where a map begins with a comment, it is the map's.
        const comment = key.commentBefore ?? (index === 0 ? map.commentBefore : undefined)
        if (ofKubernetes.includes(String(key.value))) return []
        const isTexts = ["labels", "annotations"].includes(String(key.value))
        return [
          ...(comment ? [] : [name]),
          ...(isMap(value) && !isTexts ? unexplained(value, `${name}.`) : [])
        ]
      })
    expect(unexplained(document.contents as YAMLMap, "")).toEqual([])
    const [beginning] = text.split("\n\n")
    expect(beginning!.match(/\w+/g)).toEqual(expect.arrayContaining(ofKubernetes))
  })
})

describeWith(["helm"], "the chart's notes", () => {
  let copy: string
  beforeAll(async () => {
    const folder = await mkdtemp(join(tmpdir(), "chart-"))
    copy = join(folder, "chart")
    await cp(chart, copy, { recursive: true })
    // Helm shows notes after an installation alone: here they are rendered as data of an object.
    await rename(join(copy, "templates/NOTES.txt"), join(copy, "templates/_notes.tpl"))
    const notes = await readFile(join(copy, "templates/_notes.tpl"), "utf8")
    await writeFile(join(copy, "templates/_notes.tpl"), `{{ define "notes" }}${notes}{{ end }}`)
    const object = ["apiVersion: v1", "kind: ConfigMap", "metadata: { name: notes }", "data:", "  notes: |"]
    await writeFile(
      join(copy, "templates/notes.yaml"),
      [...object, '    {{- include "notes" . | nindent 4 }}', ""].join("\n")
    )
  })
  afterAll(() => rm(join(copy, ".."), { recursive: true, force: true }))

  const notesWith = async (values: unknown): Promise<string> => {
    const objects = await render({ chart: copy, values })
    return ofKind(objects, "ConfigMap").find(({ metadata }) => metadata.name === "notes")!.data!.notes!
  }

  it("say how the API is reached, however it is served", async () => {
    const api = (of: unknown) => notesWith({ api: of })
    expect(await notesWith({})).toContain("curl http://$NODE:30080/api/v1/gpus")
    expect(await api({ service: { nodePort: null } })).toContain("-o jsonpath='{.spec.ports[0].nodePort}'")
    expect(await api({ service: { type: "ClusterIP" } })).toContain("port-forward service/api 8080:8080")
    expect(await api({ service: { type: "LoadBalancer" } })).toContain(
      "curl http://$ADDRESS:8080/api/v1/gpus"
    )
    const ingress = { enabled: true, hosts: ["a.example"] }
    expect(await api({ ingress })).toContain("http://a.example/swagger/")
    expect(await api({ ingress: { ...ingress, tls: [{ secretName: "x" }] } })).toContain(
      "https://a.example/swagger/"
    )
  })

  it("say where the secrets are, what is left open, and what stays", async () => {
    const generated = await notesWith({})
    expect(generated).toContain(
      "get secret gpu-telemetry-secret -o jsonpath='{.data.INFLUXDB_TOKEN}' | base64 --decode"
    )
    expect(generated).toMatch(
      /leaves what holds data: the claims data-mq-server-0 and influxdb-pvc, and the Secret/
    )
    expect(generated).not.toMatch(/NetworkPolicies are off|serves whoever/)
    const open = await notesWith({
      networkPolicy: { enabled: false },
      mqServer: { auth: { enabled: false } }
    })
    expect(open).toMatch(
      /NetworkPolicies are off: InfluxDB \(outside of the cluster, too\)[\s\S]*serves whoever/
    )
    const monitored = { serviceMonitor: { enabled: true } }
    expect(await notesWith(monitored)).toContain("networkPolicy.prometheusFrom names nobody")
    const external = { influxdb: { enabled: false, url: "http://x" }, secret: { existingSecret: "own" } }
    const elsewhere = await notesWith(external)
    expect(elsewhere).not.toMatch(/influxdb-pvc|generated|service\/influxdb/)
    expect(elsewhere).toContain("Secrets are in own (which is not there yet: pods wait for it):")
    const token = { secret: { influxdbToken: "0123456789abcdef" } }
    expect(await notesWith({ ...external, ...token })).toContain("{.data.EXTERNAL_INFLUXDB_TOKEN}")
  })
})

describe("the script of helm test", () => {
  let server: Server
  let gpus: ReadonlyArray<string>
  beforeAll(async () => {
    const answers = (): Readonly<Record<string, unknown>> => ({
      "/health": { status: "healthy" },
      "/ready": { status: "ready" },
      "/stats": { total_messages: 5, subscriber_count: 1 },
      "/api/v1/gpus": { data: gpus, count: gpus.length },
      "/api/v1/metrics": { data: ["a"], count: 1 },
      "/api/v1/stats": { total_metrics: 7 },
      "/api/v1/gpus/GPU%201/telemetry": { data: [{ value: 3 }], count: 1 }
    })
    server = createServer(({ url }, response) => {
      const answer = answers()[url!.replace(/\?.*/, "")]
      response.statusCode = answer === undefined ? 404 : 200
      response.end(JSON.stringify(answer ?? { error: "not_found" }))
    })
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve))
  })
  afterAll(() => server.close())

  const smoke = (url: string) => outcomeOf("node", [join(chart, "files/smoke.mjs"), url, url, "0"])
  const own = () => `http://127.0.0.1:${(server.address() as AddressInfo).port}`

  it("passes where everything is there", async () => {
    gpus = ["GPU 1"]
    const { exitCode, stdout } = await smoke(own())
    expect(stdout.match(/^ok: /gm)).toHaveLength(9)
    expect(exitCode).toBe(0)
  })

  it("fails, and says at what, where something is not", async () => {
    gpus = []
    expect(await smoke(own())).toMatchObject({
      exitCode: 1,
      stderr: 'not so: GPUs are known: {"data":[],"count":0}\n'
    })
    expect(await smoke(`${own()}/nothing`)).toMatchObject({
      exitCode: 1,
      stderr: expect.stringContaining("not so: the gateway is alive: 404")
    })
    expect(await smoke("http://127.0.0.1:1")).toMatchObject({
      exitCode: 1,
      stderr: expect.stringContaining("fetch failed")
    })
  })
})
