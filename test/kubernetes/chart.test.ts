/**
 * The chart on a real Kubernetes, from nothing to data and to nothing again, in the order of a life: what is proven of a release
 * stands on what was done to it before. A file of rows with times of their own is read slowly meanwhile, so that everything that is
 * killed is killed while rows pass, and in the end each row is compared with what InfluxDB and the gateway have.
 */
import { join } from "node:path"
import { afterAll, beforeAll, expect, it } from "vitest"
import { writeRows } from "../crash/Rows.ts"
import { imageTools } from "../deploy/Images.ts"
import { operatorDefinition } from "../deploy/schemas.ts"
import { eventually } from "../deploy/Tool.ts"
import { Cluster, describeOnCluster, namespace } from "./Cluster.ts"
import { Installation } from "./Installation.ts"
import {
  endGracefully,
  isReady,
  killProcess,
  loseAndReplace,
  type Pod,
  podsOf,
  reaches,
  restarts,
  stranger
} from "./Pods.ts"
import {
  countOfApi,
  countOfInflux,
  type Influx,
  type Row,
  rowsOfApi,
  rowsOfFile,
  rowsOfInflux
} from "./Rows.ts"

const rows = 200_000
/** Read while InfluxDB is saved, emptied and restored. */
const moreRows = 100_000
const release = "telemetry-pipeline"

describeOnCluster("the chart on a real Kubernetes", [...imageTools, "make", "curl", "cksum", "go"], () => {
  let cluster: Cluster
  let installation: Installation
  let file: string
  let expected: ReadonlyArray<Row>
  let api: string

  beforeAll(async () => {
    cluster = await Cluster.up()
    installation = await Installation.prepare(cluster)
    api = `http://${cluster.node}:30080`
    file = join(installation.folder, "rows.csv")
    await writeRows(file, "cluster", rows)
    expected = await rowsOfFile(file)
  })
  afterAll(async () => {
    await cluster?.down()
    await installation?.remove()
  })

  const influx = async (): Promise<Influx> => {
    const { data } = await cluster.get<{ data: Record<string, string> }>("secret", "gpu-telemetry-secret")
    const token = Buffer.from(data.INFLUXDB_TOKEN!, "base64").toString()
    return { url: `http://${cluster.node}:30086`, token }
  }
  const stored = async () => countOfInflux(await influx())
  const isRolledOut = (owner: string) => cluster.kubectl("rollout", "status", owner, "--timeout", "2m")
  /** Rows still pass: more of them are stored than there were, and not yet all. */
  const rowsPass = async (): Promise<void> => {
    const before = await stored()
    const after = await eventually("more rows are stored", 60, stored, (count) => count > before)
    expect(after, "rows are left, so that what is killed is killed among them").toBeLessThan(expected.length)
  }
  /** What has to outlive everything but its own deletion. */
  const kept = async () => ({
    secret: (
      await cluster.get<{ metadata: { uid: string }; data: unknown }>("secret", "gpu-telemetry-secret")
    ).data,
    claims: await cluster.kubectl(
      ...["get", "persistentvolumeclaims", "data-mq-server-0", "influxdb-pvc"],
      ...["--output", 'jsonpath={range .items[*]}{.metadata.uid} {.spec.volumeName}{"\\n"}{end}']
    )
  })
  const everyRowIsStoredOnce = async () => {
    expect(await rowsOfInflux(await influx())).toEqual(expected)
    await eventually(
      "the gateway has counted them",
      120,
      () => countOfApi(api),
      (count) => count === expected.length
    )
    // The list of GPUs follows what is stored within a minute.
    await eventually(
      "the gateway exports them",
      120,
      async () => (await rowsOfApi(api)).length,
      (count) => count === expected.length
    )
    expect(await rowsOfApi(api)).toEqual(expected)
  }
  const logLevel = () =>
    cluster
      .kubectl("exec", "collector-0", "--", "node", "-p", "process.env.LOG_LEVEL")
      .then((text) => text.trim())

  const values = {
    api: { replicas: 1, autoscaling: { minReplicas: 1 } },
    mqServer: { config: { LOG_RETENTION_BYTES: "256KiB" } },
    streamer: { config: { TIMESTAMPS: "original", LOOP: "false", RATE: "300", COLLECT_INTERVAL: "1s" } },
    // This machine and the node; kind's own are in deploy/kind/values.yaml.
    networkPolicy: {
      influxdbFrom: [{ ipBlock: { cidr: "10.239.0.0/24" } }, { ipBlock: { cidr: "10.239.1.1/32" } }]
    }
  }

  it("goes from nothing to data by one command, in a namespace that enforces `restricted`", async () => {
    const csv = { hostPath: join(installation.folder, "deploy/kind/data") }
    const file_ = await installation.values("values", { ...values, streamer: { ...values.streamer, csv } })
    const said = await installation.make("kind-setup", `CSV_FILE=${file}`, `VALUES=${file_}`)
    expect(said).toContain(`${api}/swagger/`)
    expect(await countOfApi(api)).toBeGreaterThan(0)

    const root = {
      ...stranger("root", installation.image),
      spec: { containers: [{ name: "root", image: installation.image }] }
    }
    await expect(cluster.apply(root)).rejects.toThrow(/violates PodSecurity "restricted/)
  })

  it("passes the integration checks on the NodePort of the node, while rows pass", async () => {
    await installation.run("timeout", "200", "make", "integration-test-kind")
    await rowsPass()
  })

  it("passes `helm test`", async () => {
    expect(await cluster.helm("test", release, "--timeout", "2m")).toMatch(/Phase: +Succeeded/)
  })

  it("lets nobody reach InfluxDB or the broker but those that need them", async () => {
    await cluster.apply(stranger("stranger", installation.image))
    await cluster.kubectl("wait", "pod/stranger", "--for", "condition=Ready", "--timeout", "60s")
    const [gateway] = await podsOf(cluster, "gateway")
    const [collector] = await podsOf(cluster, "collector")
    const ways: ReadonlyArray<readonly [string, string, number, boolean]> = [
      ["stranger", "influxdb", 8086, false],
      ["stranger", "mq-server", 9000, false],
      ["stranger", "mq-server", 9001, false],
      ["stranger", collector!.status.podIP!, 9002, false],
      ["stranger", "api", 8080, true],
      ["streamer-0", "mq-server", 9000, true],
      ["streamer-0", "influxdb", 8086, false],
      ["collector-0", "mq-server", 9000, true],
      ["collector-0", "influxdb", 8086, true],
      ["collector-0", "api", 8080, false],
      [gateway!.metadata.name, "influxdb", 8086, true],
      [gateway!.metadata.name, "mq-server", 9000, false]
    ]
    const seen = []
    for (const [pod, host, port] of ways)
      seen.push([pod, host, port, await reaches(cluster, pod, host, port)])
    expect(seen).toEqual(ways)

    // The policies and nothing else: by the labels of a gateway the same pod gets through.
    const labels = ["name=telemetry-pipeline", "component=gateway", `instance=${release}`]
    await cluster.kubectl("label", "pod", "stranger", ...labels.map((text) => `app.kubernetes.io/${text}`))
    await eventually("it reaches InfluxDB", 30, () => reaches(cluster, "stranger", "influxdb", 8086), Boolean)
    await cluster.kubectl("delete", "pod", "stranger")
  })

  it.each(["mq-server-0", "collector-0", "streamer-0", "collector-1", "streamer-1"])(
    "%s is lost, and its process killed, while rows pass",
    async (pod) => {
      await rowsPass()
      await loseAndReplace(cluster, pod)
      await rowsPass()
      await killProcess(cluster, pod)
      await rowsPass()
    }
  )

  it("a full log turns the broker's readiness red, restarts nothing, and drains when collectors return", async () => {
    const before = await restarts(cluster)
    const isBrokerReady = async () => isReady(await cluster.get<Pod>("pod", "mq-server-0"))
    await cluster.kubectl("scale", "statefulset", "collector", "--replicas=0")
    await eventually("the broker is not ready", 120, isBrokerReady, (isIt) => !isIt)
    await cluster.kubectl("scale", "statefulset", "collector", "--replicas=2")
    await eventually("the broker is ready", 120, isBrokerReady, Boolean)
    await rowsPass()
    const after = await restarts(cluster)
    for (const pod of ["mq-server-0", "streamer-0", "streamer-1"]) expect(after[pod], pod).toBe(before[pod])
  })

  it("an upgrade to other values, while rows pass, keeps the secrets and the data; every row is stored once", async () => {
    const before = await kept()
    const other = await installation.values("other", {
      config: { LOG_LEVEL: "debug" },
      api: { autoscaling: { minReplicas: 2 } },
      streamer: { config: { RATE: "max" } },
      // What the Prometheus operator would read, which the API server checks.
      serviceMonitor: { enabled: true },
      prometheusRule: { enabled: true },
      grafanaDashboards: { enabled: true }
    })
    for (const kind of ["servicemonitors", "prometheusrules"])
      await cluster.kubectl("apply", "--server-side", "--filename", await operatorDefinition(kind))
    await rowsPass()
    await installation.make("helm-upgrade", `VALUES=${other}`)
    expect(await logLevel()).toBe("debug")
    expect(await podsOf(cluster, "gateway")).toHaveLength(2)
    await eventually("all rows are stored", 180, stored, (count) => count === rows)
    await everyRowIsStoredOnce()
    expect(await kept()).toEqual(before)
  })

  it("a rollback brings the values back, and keeps the secrets and the data", async () => {
    const before = await kept()
    await cluster.helm("rollback", release, "1", "--wait", "--timeout", "3m")
    expect(await logLevel()).toBe("info")
    await everyRowIsStoredOnce()
    expect(await kept()).toEqual(before)
  })

  it("every process ends with exit code 0 within its pod's grace period", async () => {
    const [gateway] = await podsOf(cluster, "gateway")
    const [influxdb] = await podsOf(cluster, "influxdb")
    for (const pod of [gateway!, "streamer-0", "collector-0", "mq-server-0", influxdb!]) {
      const name = typeof pod === "string" ? pod : pod.metadata.name
      const { exitCode, tookSeconds, graceSeconds } = await endGracefully(cluster, name)
      expect(exitCode, name).toBe(0)
      expect(tookSeconds, name).toBeLessThan(graceSeconds)
    }
  })

  it("an uninstall leaves the data's claims and the secret and nothing else; installed again, the data is there", async () => {
    const before = await kept()
    await installation.make("helm-uninstall")
    const kinds = await cluster.kubectl("api-resources", "--namespaced", "--verbs=list", "--output=name")
    const listed = kinds.split("\n").filter((kind) => kind !== "" && !/^events?(\.|$)/.test(kind))
    const left = [
      "configmap/kube-root-ca.crt",
      "persistentvolumeclaim/data-mq-server-0",
      "persistentvolumeclaim/influxdb-pvc",
      "secret/gpu-telemetry-secret",
      "serviceaccount/default"
    ]
    await eventually(
      "what is left",
      60,
      async () =>
        (await cluster.kubectl("get", listed.join(","), "--output", "name")).trim().split("\n").sort(),
      (names) => names.join() === left.join()
    )
    expect(await cluster.kubectl("get", "persistentvolumes", "--output", "name")).not.toContain(namespace)

    await installation.make("helm-install", `VALUES=${join(installation.folder, "values.yaml")}`)
    await everyRowIsStoredOnce()
    expect(await kept()).toEqual(before)
  })

  it("a restore over an empty InfluxDB brings back what was saved, and what came since; every row is stored once", async () => {
    const more = join(installation.folder, "deploy/kind/data/dcgm_metrics.csv")
    await writeRows(more, "more", moreRows)
    expected = [...expected, ...(await rowsOfFile(more))].sort()
    // Another number of streamers begins at the file's beginning; the log has room for all of it.
    const streaming = await installation.values("streaming", {
      mqServer: { config: { LOG_RETENTION_BYTES: "64MiB" } },
      streamer: { replicas: 1, config: { RATE: "1000" } }
    })
    await installation.make("helm-upgrade", `VALUES=${streaming}`)
    const file = join(installation.folder, "influxdb.tar.gz")
    await rowsPass()
    const said = await installation.run("deploy/kubernetes/influxdb-volume.sh", "save", file)
    expect(said).toMatch(/^context kube, namespace gpu-telemetry\n(.*\n)+collector-0 \d+\ncollector-1 \d+\n/)
    await isRolledOut("deployment/influxdb")
    await rowsPass()
    await installation.make("k8s-reset-influxdb")
    expect(await stored()).toBeLessThan(moreRows)
    await rowsPass()
    expect(await installation.run("deploy/kubernetes/influxdb-volume.sh", "restore", file)).toMatch(
      /(^collector-\d is at offset \d+, \d+ to go\n){2}/m
    )
    for (const restarted of ["deployment/influxdb", "deployment/api", "statefulset/collector"])
      await isRolledOut(restarted)
    // What is left need not be waited for.
    await cluster.kubectl("set", "env", "statefulset/streamer", "RATE=max")
    await eventually("all rows are stored", 120, stored, (count) => count >= expected.length)
    await everyRowIsStoredOnce()
  })

  it("`make k8s-delete` takes everything away", async () => {
    expect(await installation.make("k8s-status")).toMatch(/influxdb-pvc +Bound/)
    await installation.make("k8s-delete")
    expect((await cluster.kubectlOutcome("get", "namespace", namespace)).stderr).toContain("not found")
  })
})
