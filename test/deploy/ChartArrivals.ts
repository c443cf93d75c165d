/** Where each value of the chart arrives in what it renders: a table, from the path of a value to that in an object. */
import { readFile } from "node:fs/promises"
import { join } from "node:path"
import { parse } from "yaml"
import { chart } from "./Chart.ts"
import { type Arrival, at, type Values } from "./ChartValues.ts"

const workloads = {
  mqServer: "StatefulSet/mq-server",
  streamer: "StatefulSet/streamer",
  collector: "StatefulSet/collector",
  api: "Deployment/api",
  influxdb: "Deployment/influxdb"
} as const
const setup = "Job/influxdb-setup-1"
const smoke = "Pod/smoke"

/** The spec of an object's pods. */
const specOf = (object: string): string => (object === smoke ? "spec" : "spec.template.spec")
const containerOf = (object: string): string => `${specOf(object)}.containers.0`

const hasInfluxdb = ({ influxdb }: Values): boolean => influxdb.enabled
const isThere = (object: string) => (values: Values) => !/influxdb/.test(object) || hasInfluxdb(values)

const inPods = (
  objects: ReadonlyArray<string>,
  value: string,
  path: (object: string) => string,
  as?: Arrival["as"]
): ReadonlyArray<Arrival> =>
  objects.map((object) => ({
    value,
    object,
    path: path(object),
    where: isThere(object),
    ...(as && { as })
  }))

const placement = [
  ...["nodeSelector", "tolerations", "affinity", "topologySpreadConstraints", "priorityClassName"]
] as const

/** What Kubernetes documents of pods, for every component; pods that end by themselves have some of another's. */
const ofPods: ReadonlyArray<Arrival> = [
  ...Object.entries(workloads).flatMap(([key, object]) => [
    ...placement.flatMap((name) =>
      inPods([object], `${key}.${name}`, (of) => `${specOf(of)}.${name}`).map((arrival) => ({
        ...arrival,
        // By default the gateway has one of its own.
        where: (values: Values) =>
          arrival.where!(values) &&
          (key !== "api" || name !== "topologySpreadConstraints" || values.api[name].length > 0)
      }))
    ),
    ...inPods([object], `${key}.resources`, (of) => `${containerOf(of)}.resources`),
    ...inPods([object], `${key}.podAnnotations`, () => "spec.template.metadata.annotations")
  ]),
  ...["nodeSelector", "tolerations", "priorityClassName"].flatMap((name) =>
    inPods([setup], `influxdb.${name}`, (of) => `${specOf(of)}.${name}`)
  ),
  ...["nodeSelector", "tolerations"].flatMap((name) => inPods([smoke], `api.${name}`, () => `spec.${name}`)),
  ...inPods([setup], "influxdb.setup.resources", (of) => `${containerOf(of)}.resources`),
  ...inPods([smoke], "test.resources", (of) => `${containerOf(of)}.resources`),
  ...inPods([smoke], "test.timeoutSeconds", (of) => `${containerOf(of)}.args.2`, String)
]

const everyPod = [...Object.values(workloads), setup, smoke]
const ofOurs = everyPod.filter((object) => object !== workloads.influxdb)

const imageOf = ({ repository, tag, digest }: Values, version: string): string =>
  digest ? `${repository}@${digest}` : `${repository}:${tag || version}`

const { appVersion } = parse(await readFile(join(chart, "Chart.yaml"), "utf8"))

const ofImages: ReadonlyArray<Arrival> = [
  ...inPods(
    everyPod,
    "image.pullSecrets",
    (of) => `${specOf(of)}.imagePullSecrets`,
    (names: ReadonlyArray<string>) => names.map((name) => ({ name }))
  ),
  ...[
    { key: "image", objects: ofOurs },
    { key: "influxdb.image", objects: [workloads.influxdb] }
  ].flatMap(({ key, objects }) => [
    ...inPods(objects, `${key}.pullPolicy`, (of) => `${containerOf(of)}.imagePullPolicy`),
    ...["repository", "tag", "digest"].flatMap((name) =>
      inPods(
        objects,
        `${key}.${name}`,
        (of) => `${containerOf(of)}.image`,
        (_, values) => imageOf(at(values, key), appVersion)
      )
    )
  ]),
  ...inPods(
    everyPod,
    "serviceAccount.name",
    (of) => `${specOf(of)}.serviceAccountName`,
    (name, { serviceAccount }) => name || (serviceAccount.create ? "telemetry-pipeline" : "default")
  )
]

/** That an object is there, or not. */
const present = (value: string, object: string): Arrival => {
  const [kind] = object.split("/")
  return { value, object, path: "kind", as: (isOn) => (isOn ? kind : undefined) }
}

const isOn = (key: string) => (values: Values) => at(values, key).enabled === true
const envOf = (key: keyof typeof workloads, name: string) => `${containerOf(workloads[key])}.env.${name}`

const ofStorage: ReadonlyArray<Arrival> = [
  ...["size", "storageClass"].flatMap((name): ReadonlyArray<Arrival> => {
    const path = name === "size" ? "resources.requests.storage" : "storageClassName"
    return [
      {
        value: `mqServer.persistence.${name}`,
        object: workloads.mqServer,
        path: `spec.volumeClaimTemplates.0.spec.${path}`
      },
      {
        value: `influxdb.persistence.${name}`,
        object: "PersistentVolumeClaim/influxdb-pvc",
        path: `spec.${path}`,
        where: ({ influxdb }) => influxdb.enabled && influxdb.persistence.existingClaim === ""
      }
    ]
  }),
  {
    value: "influxdb.persistence.existingClaim",
    object: workloads.influxdb,
    path: "spec.template.spec.volumes.data.persistentVolumeClaim.claimName",
    as: (claim) => claim || "influxdb-pvc",
    where: hasInfluxdb
  },
  {
    value: "mqServer.tls.secretName",
    object: workloads.mqServer,
    path: "spec.template.spec.volumes.tls.secret.secretName"
  }
]

const readsFolder = ({ streamer }: Values) => streamer.source === "csv" && streamer.csv.existingClaim === ""

const ofSources: ReadonlyArray<Arrival> = [
  {
    value: "streamer.csv.hostPath",
    object: "PersistentVolume",
    path: "spec.hostPath.path",
    where: readsFolder
  },
  {
    value: "streamer.csv.nodes",
    object: "PersistentVolume",
    path: "spec.nodeAffinity.required.nodeSelectorTerms",
    as: (values) =>
      values.length === 0
        ? undefined
        : [{ matchExpressions: [{ key: "kubernetes.io/hostname", operator: "In", values }] }],
    where: readsFolder
  },
  {
    value: "streamer.csv.existingClaim",
    object: workloads.streamer,
    path: "spec.template.spec.volumes.csv.persistentVolumeClaim.claimName",
    where: ({ streamer }) => streamer.csv.existingClaim !== ""
  },
  {
    value: "streamer.csv.file",
    object: workloads.streamer,
    path: `${envOf("streamer", "CSV_PATH")}.value`,
    as: (file, { streamer }) => (streamer.source === "csv" ? `/data/${file}` : undefined)
  },
  ...["streamer.source", "streamer.simulated.fleet"].map((value) => ({
    value,
    object: workloads.streamer,
    path: `${envOf("streamer", "SIMULATE")}.value`,
    as: (_: Values, { streamer }: Values) =>
      streamer.source === "simulated" ? streamer.simulated.fleet : undefined
  }))
]

const ofServices: ReadonlyArray<Arrival> = ["api", "influxdb"].flatMap((key): ReadonlyArray<Arrival> => {
  const of = { object: `Service/${key}`, where: isThere(key) }
  return [
    { ...of, value: `${key}.service.type`, path: "spec.type" },
    { ...of, value: `${key}.service.annotations`, path: "metadata.annotations" },
    {
      ...of,
      value: `${key}.service.nodePort`,
      path: "spec.ports.http.nodePort",
      as: (port, values) => (values[key].service.type === "ClusterIP" ? undefined : port)
    }
  ]
})

const backend = { service: { name: "api", port: { name: "http" } } }

const ofGateway: ReadonlyArray<Arrival> = [
  ...["minReplicas", "maxReplicas"].map((name) => ({ name, path: `spec.${name}` })),
  { name: "targetCPUUtilizationPercentage", path: "spec.metrics.0.resource.target.averageUtilization" }
]
  .map(({ name, path }) => ({
    value: `api.autoscaling.${name}`,
    object: "HorizontalPodAutoscaler/api",
    path,
    where: isOn("api.autoscaling")
  }))
  .concat(
    [
      { name: "className", path: "spec.ingressClassName" },
      { name: "annotations", path: "metadata.annotations" },
      { name: "tls", path: "spec.tls" }
    ].map(({ name, path }) => ({
      value: `api.ingress.${name}`,
      object: "Ingress/api",
      path,
      where: isOn("api.ingress")
    }))
  )

const ofRest: ReadonlyArray<Arrival> = [
  present("api.autoscaling.enabled", "HorizontalPodAutoscaler/api"),
  present("api.ingress.enabled", "Ingress/api"),
  present("serviceAccount.create", "ServiceAccount"),
  present("podDisruptionBudget.enabled", "PodDisruptionBudget/api"),
  present("networkPolicy.enabled", "NetworkPolicy/deny-all"),
  present("influxdb.enabled", workloads.influxdb),
  present("serviceMonitor.enabled", "ServiceMonitor"),
  present("prometheusRule.enabled", "PrometheusRule"),
  present("grafanaDashboards.enabled", "ConfigMap/gpu-telemetry-dashboard-fleet"),
  {
    value: "api.ingress.hosts",
    object: "Ingress/api",
    path: "spec.rules",
    as: (hosts: ReadonlyArray<string>) =>
      hosts.map((host) => ({ host, http: { paths: [{ path: "/", pathType: "Prefix", backend }] } })),
    where: isOn("api.ingress")
  },
  {
    value: "api.replicas",
    object: workloads.api,
    path: "spec.replicas",
    as: (replicas, { api }) => (api.autoscaling.enabled ? undefined : replicas)
  },
  ...(["streamer", "collector"] as const).map((key) => ({
    value: `${key}.replicas`,
    object: workloads[key],
    path: "spec.replicas"
  })),
  {
    value: "api.preStopSeconds",
    object: workloads.api,
    path: `${containerOf(workloads.api)}.lifecycle.preStop.sleep.seconds`
  },
  {
    value: "mqServer.auth.enabled",
    object: workloads.mqServer,
    path: `${envOf("mqServer", "MQ_TOKEN")}.name`,
    as: (isAsked) => (isAsked ? "MQ_TOKEN" : undefined)
  },
  {
    value: "influxdb.url",
    object: "ConfigMap/gpu-telemetry-config",
    path: "data.INFLUXDB_URL",
    as: (url) => url || "http://influxdb:8086"
  },
  {
    value: "serviceAccount.annotations",
    object: "ServiceAccount",
    path: "metadata.annotations",
    where: ({ serviceAccount }) => serviceAccount.create
  },
  ...["interval", "scrapeTimeout"].map((name) => ({
    value: `serviceMonitor.${name}`,
    object: "ServiceMonitor",
    path: `spec.endpoints.0.${name}`,
    where: isOn("serviceMonitor")
  })),
  ...[
    { key: "serviceMonitor", object: "ServiceMonitor", names: ["labels"] },
    { key: "prometheusRule", object: "PrometheusRule", names: ["labels"] },
    {
      key: "grafanaDashboards",
      object: "ConfigMap/gpu-telemetry-dashboard-fleet",
      names: ["labels", "annotations"]
    }
  ].flatMap(({ key, object, names }) =>
    names.map((name) => ({ value: `${key}.${name}`, object, path: `metadata.${name}`, where: isOn(key) }))
  ),
  {
    value: "networkPolicy.dnsTo",
    object: "NetworkPolicy/collector",
    path: "spec.egress.0.to",
    where: isOn("networkPolicy")
  },
  {
    value: "networkPolicy.dnsPorts",
    object: "NetworkPolicy/collector",
    path: "spec.egress.0.ports",
    as: (ports: ReadonlyArray<number>) =>
      ports.flatMap((port) => ["UDP", "TCP"].map((protocol) => ({ port, protocol }))),
    where: isOn("networkPolicy")
  }
]

/** Settings, of which no table can be written: each is a variable of its component, or one for all. */
export const settingsIn = (values: Values): ReadonlyArray<Arrival> => [
  ...Object.keys(values.config).map((name) => ({
    value: `config.${name}`,
    object: "ConfigMap/gpu-telemetry-config",
    path: `data.${name}`,
    as: String
  })),
  ...(["mqServer", "streamer", "collector", "api"] as const).flatMap((key) =>
    Object.keys(values[key].config).map((name) => ({
      value: `${key}.config.${name}`,
      object: workloads[key],
      path: `${envOf(key, name)}.value`,
      as: String
    }))
  )
]

export const arrivals: ReadonlyArray<Arrival> = [
  ...ofPods,
  ...ofImages,
  ...ofStorage,
  ...ofSources,
  ...ofServices,
  ...ofGateway,
  ...ofRest
]
