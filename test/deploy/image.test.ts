/** The image, built from its Dockerfile and run by podman, as restricted as a cluster runs it. */
import { readFile } from "node:fs/promises"
import { join } from "node:path"
import { afterAll, beforeAll, expect, it } from "vitest"
import { Containers, podman, podmanOutcome, restrictions } from "./Containers.ts"
import { baseImage, type Image, imageTools, influxdbImage, pipelineImage } from "./Images.ts"
import { describeWith, eventually, root } from "./Tool.ts"

/** What a deployment gives a process to end; the program takes DRAIN_TIMEOUT (20 s) at most. */
const graceSeconds = 30
const startSeconds = 120
const addedMegabytesMax = 25
const influxdb = {
  INFLUXDB_URL: "http://influxdb:8086",
  INFLUXDB_TOKEN: "token-of-the-image-test",
  INFLUXDB_PASSWORD: "password-of-the-image-test"
}
const dataFolder = "/var/lib/telemetry-pipeline"

describeWith(imageTools, "image", () => {
  const containers = new Containers()
  let base: Image
  let pipeline: Image

  /** Runs a shell in the image, as root, and answers what it prints. */
  const inImage = (script: string) =>
    podman("run", "--rm", "--user", "0", "--entrypoint", "sh", pipeline.name, "-c", script)

  const start = (
    name: string,
    command: ReadonlyArray<string>,
    environment: Readonly<Record<string, string>> = {},
    options: ReadonlyArray<string> = []
  ) => containers.start(name, { image: pipeline.name, command, environment, options })

  const isHealthy = (name: string) =>
    eventually(
      `${name} is healthy`,
      startSeconds,
      () => containers.healthCheck(name),
      (code) => code === 0
    )

  const startBroker = () =>
    start("broker", ["broker"], { DATA_DIR: dataFolder }, [
      "--volume",
      `${containers.volume("broker-data")}:${dataFolder}`
    ])

  const headOf = async (): Promise<number> => {
    const { next_offset } = JSON.parse(await containers.ask("broker", 9001, "/stats"))
    return next_offset
  }

  beforeAll(async () => {
    base = await baseImage()
    pipeline = await pipelineImage()
  })

  afterAll(() => containers.dispose())

  it("holds the program, its sample, and the files that its native packages load", async () => {
    const files = (await inImage("find /app -type f")).split("\n").map((file) => file.slice("/app/".length))
    const own = files.filter((file) => !file.startsWith("node_modules/"))
    expect(own.sort()).toEqual([
      "deploy/sample/dcgm_metrics.csv",
      "dist/database-thread.js",
      "dist/health.js",
      "dist/telemetry-pipeline.js",
      "package.json"
    ])
    const packages = files.flatMap(
      (file) => /.*node_modules\/((?:@[^/]+\/)?[^/]+)\/package\.json$/.exec(file)?.[1] ?? []
    )
    const isNative = (name: string) => /^(@libsql\/|@node-rs\/|@neon-rs\/|libsql$|detect-libc$)/.test(name)
    expect(packages.filter((name) => !isNative(name))).toEqual([])
    const isLoaded = (file: string) => /\.(node|c?js|json)$|\/LICEN[CS]E[^/]*$/.test(file)
    expect(files.filter((file) => !own.includes(file) && !isLoaded(file))).toEqual([])
    expect(files.filter((file) => file.endsWith(".node"))).toHaveLength(2)
  })

  it("holds nothing of the build: no cache, no npm settings, no secret", async () => {
    expect(
      await inImage("ls -A /build /native /program /run/secrets /root/.npm /root/.npmrc 2>/dev/null || true")
    ).toBe("")
    expect(await podman("history", "--no-trunc", "--format", "{{.CreatedBy}}", pipeline.name)).not.toContain(
      "npmrc"
    )
  })

  it("adds little to its base", async () => {
    const sizeOf = async (image: string) =>
      Number(await podman("image", "inspect", "--format", "{{.Size}}", image))
    const addedMegabytes = ((await sizeOf(pipeline.name)) - (await sizeOf(base.name))) / 1e6
    console.log(`the image adds ${addedMegabytes.toFixed(1)} MB to its base`)
    expect(addedMegabytes).toBeLessThan(addedMegabytesMax)
  })

  it("says what it is: version, command, user, health check", async () => {
    const { version, description } = JSON.parse(await readFile(join(root, "package.json"), "utf8"))
    const [{ Config, Healthcheck }] = JSON.parse(await podman("image", "inspect", pipeline.name))
    expect(Config.Labels).toMatchObject({
      "org.opencontainers.image.version": version,
      "org.opencontainers.image.description": description,
      "org.opencontainers.image.licenses": "Apache-2.0"
    })
    expect(Config.User).toBe("10001:10001")
    expect(Config.Entrypoint).toEqual(["node", "/app/dist/telemetry-pipeline.js"])
    expect(Config.Cmd).toEqual(["run"])
    expect(Healthcheck.Test).toEqual(["CMD", "node", "/app/dist/health.js"])
    expect(await podman("run", "--rm", ...restrictions, pipeline.name, "--version")).toBe(version)
  })

  it("runs everything in one process, is healthy, and drains on SIGTERM", async () => {
    await start("run", ["run"])
    await isHealthy("run")
    await eventually(
      "samples are stored",
      startSeconds,
      async () => JSON.parse(await containers.ask("run", 8080, "/api/v1/gpus")).total,
      (total) => total > 0
    )
    expect(await containers.stop("run", graceSeconds)).toBe(0)
    const drained = /rows read ([\d,]*\d), .* samples stored ([\d,]*\d)/.exec(await containers.logs("run"))
    expect(drained?.[1]).toMatch(/[1-9]/)
    expect(drained?.[2]).toBe(drained?.[1])
  })

  it("is unhealthy where its process answers no longer, and where nothing is served", async () => {
    await start("stuck", ["run"])
    await isHealthy("stuck")
    await podman("kill", "--signal", "STOP", containers.nameOf("stuck"))
    expect(await containers.healthCheck("stuck")).toBe(1)
    await podman("kill", "--signal", "KILL", containers.nameOf("stuck"))
    const { exitCode, stderr, stdout } = await podmanOutcome(
      "run",
      "--rm",
      ...restrictions,
      pipeline.name,
      "health"
    )
    expect(exitCode).toBe(1)
    expect(stdout + stderr).toContain("nobody listens there")
  })

  it("runs each process on its own, healthy, and drained on SIGTERM; a broker's volume outlives its container", async () => {
    const server = {
      INFLUXD_BOLT_PATH: "/var/lib/influxdb2/influxd.bolt",
      INFLUXD_SQLITE_PATH: "/var/lib/influxdb2/influxd.sqlite",
      INFLUXD_ENGINE_PATH: "/var/lib/influxdb2/engine"
    }
    await containers.start("influxdb", {
      image: (await influxdbImage()).name,
      command: ["influxd"],
      environment: server,
      options: ["--user=1000:1000", "--volume", `${containers.volume("influxdb-data")}:/var/lib/influxdb2`]
    })
    await start("influxdb-setup", ["influxdb", "setup"], influxdb)
    const exitCode = await containers.exitCode("influxdb-setup")
    expect(exitCode, await containers.logs("influxdb-setup")).toBe(0)
    expect(await containers.logs("influxdb-setup")).not.toContain("Warning")

    await startBroker()
    await start("streamer", ["streamer"], {
      MQ_HOST: "broker",
      CSV_PATH: "/app/deploy/sample/dcgm_metrics.csv"
    })
    await start("collector", ["collector"], { MQ_HOST: "broker", ...influxdb })
    await start("gateway", ["gateway"], influxdb)
    for (const name of ["broker", "streamer", "collector", "gateway"]) await isHealthy(name)
    await eventually(
      "samples arrive at the gateway",
      startSeconds,
      async () => JSON.parse(await containers.ask("gateway", 8080, "/api/v1/gpus")).total,
      (total) => total > 0
    )
    for (const name of ["streamer", "collector", "gateway"])
      expect(await containers.stop(name, graceSeconds), await containers.logs(name)).toBe(0)

    const head = await headOf()
    expect(head).toBeGreaterThan(0)
    expect(await containers.stop("broker", graceSeconds), await containers.logs("broker")).toBe(0)
    await containers.remove("broker")
    await startBroker()
    await isHealthy("broker")
    expect(await headOf()).toBe(head)
  })
})
