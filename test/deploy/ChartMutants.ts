/** Mistakes that somebody could make in the chart, one for each thing that a policy looks at: it has to be found. */
import { type Container, containersOf, type KubernetesObject, type Pod, podsOf } from "./ChartObjects.ts"
import type { PolicyName } from "./ChartPolicies.ts"

type Change = (objects: Array<KubernetesObject>) => void

export interface Mutant {
  readonly policy: PolicyName
  readonly what: string
  readonly change: Change
  /** The table of values that it is rendered with. */
  readonly variant: string
}

const podNamed = (objects: Array<KubernetesObject>, name: string): Pod => {
  const pod = podsOf(objects).find((one) => one.name === name)
  if (pod === undefined) throw new Error(`no pod of ${name}`)
  return pod
}

const objectNamed = (objects: Array<KubernetesObject>, kind: string, name: string): KubernetesObject => {
  const object = objects.find((one) => one.kind === kind && one.metadata.name === name)
  if (object === undefined) throw new Error(`no ${kind}/${name}`)
  return object
}

const inPod =
  (name: string, change: (pod: Pod) => void): Change =>
  (objects) =>
    change(podNamed(objects, name))

const inContainer = (name: string, change: (container: Container) => void): Change =>
  inPod(name, (pod) => change(containersOf(pod)[0]!))

const inSpec =
  (kind: string, name: string, changes: object): Change =>
  (objects) => {
    Object.assign(objectNamed(objects, kind, name).spec!, changes)
  }

const inIngress = (service: { readonly name: string; readonly port: { readonly name: string } }): Change =>
  inSpec("Ingress", "api", { rules: [{ http: { paths: [{ backend: { service } }] } }] })

const inScrape =
  (changes: object): Change =>
  (objects) => {
    Object.assign(objectNamed(objects, "ServiceMonitor", "telemetry-pipeline").spec!.endpoints![0]!, changes)
  }

const api = "Deployment/api"
const setup = "Job/influxdb-setup-1"
const broker = "StatefulSet/mq-server"

const found = (
  policy: PolicyName,
  changes: Readonly<Record<string, Change>>,
  variant = "default"
): ReadonlyArray<Mutant> =>
  Object.entries(changes).map(([what, change]) => ({ policy, what, change, variant }))

export const mutants: ReadonlyArray<Mutant> = [
  ...found("isRestricted", {
    "a Job that may be root": inPod(setup, ({ spec }) => delete spec.securityContext!.runAsNonRoot),
    "a pod that is root": inPod(api, ({ spec }) => Object.assign(spec.securityContext!, { runAsUser: 0 })),
    "a pod with a token": inPod("Pod/smoke", ({ spec }) => delete spec.automountServiceAccountToken),
    "variables of Services": inPod(api, ({ spec }) => delete spec.enableServiceLinks),
    "the host's network": inPod(api, ({ spec }) => Object.assign(spec, { hostNetwork: true })),
    "no seccomp": inPod(broker, ({ spec }) => delete spec.securityContext!.seccompProfile),
    "volumes of root": inPod(broker, ({ spec }) => delete spec.securityContext!.fsGroup),
    "a root that can be written": inContainer("Deployment/influxdb", (container) =>
      Object.assign(container.securityContext!, { readOnlyRootFilesystem: false })
    ),
    "a capability more": inContainer(api, (container) =>
      Object.assign(container.securityContext!.capabilities!, { add: ["NET_ADMIN"] })
    ),
    "a capability left": inContainer("Pod/smoke", (container) =>
      Object.assign(container.securityContext!.capabilities!, { drop: ["NET_RAW"] })
    ),
    "more privileges": inContainer(setup, (c) => delete c.securityContext!.allowPrivilegeEscalation),
    "a container that is root": inContainer(api, (c) => Object.assign(c.securityContext!, { runAsUser: 0 })),
    "an init container without restrictions": inPod(broker, ({ spec }) =>
      Object.assign(spec, { initContainers: [{ name: "chown", image: "busybox:1.36" }] })
    )
  }),
  ...found("areVolumes", {
    "a folder of the node": inPod("StatefulSet/streamer", ({ spec }) =>
      Object.assign(spec.volumes![0]!, { persistentVolumeClaim: undefined, hostPath: { path: "/data" } })
    ),
    "a folder without a limit": inPod("Deployment/influxdb", ({ spec }) =>
      Object.assign(spec.volumes![1]!, { emptyDir: {} })
    ),
    "a mount of nothing": inContainer(broker, (c) => Object.assign(c.volumeMounts![0]!, { name: "other" })),
    "settings that can be written": inContainer(
      "Pod/smoke",
      (c) => delete (c.volumeMounts![0]! as { readOnly?: boolean }).readOnly
    )
  }),
  ...found("isPinned", {
    "the tag latest": inContainer(api, (container) => Object.assign(container, { image: "x:latest" })),
    "no tag": inContainer("Deployment/influxdb", (container) =>
      Object.assign(container, { image: "r.example:5000/x" })
    )
  }),
  ...found("hasResources", {
    "no limit of memory": inContainer(api, (container) => delete container.resources!.limits!.memory),
    "no resources of a Job": inContainer(setup, (container) => delete container.resources),
    "more than is allowed": inContainer(api, (c) => Object.assign(c.resources!.requests!, { memory: "8Gi" }))
  }),
  ...found("hasRoomBesideItsHeap", {
    "a heap as Node likes": inContainer(api, (container) => {
      container.env = container.env!.filter(({ name }) => name !== "NODE_OPTIONS")
    }),
    "less memory": inContainer(broker, (c) => Object.assign(c.resources!.limits!, { memory: "600Mi" })),
    "less memory of InfluxDB": inContainer("Deployment/influxdb", (c) =>
      Object.assign(c.resources!.limits!, { memory: "2Gi" })
    ),
    "an InfluxDB that knows of no limit": inContainer("Deployment/influxdb", (container) => {
      container.env = container.env!.filter(({ name }) => name !== "GOMEMLIMIT")
    }),
    "options that replace the image's": inContainer("StatefulSet/collector", (container) => {
      const options = container.env!.find(({ name }) => name === "NODE_OPTIONS")!
      options.value = options.value!.split(" ").pop()!
    })
  }),
  ...found("hasProbes", {
    "a liveness that a dead InfluxDB turns red": inContainer(api, (c) => {
      c.livenessProbe = { httpGet: { path: "/ready", port: "http" } }
    }),
    "a readiness that is liveness": inContainer("StatefulSet/collector", (c) => {
      c.readinessProbe = { httpGet: { path: "/health", port: "http" } }
    }),
    "a start of one moment": inContainer(broker, (c) =>
      Object.assign(c.startupProbe!, { failureThreshold: 1 })
    ),
    "an end for one late answer": inContainer(api, (c) =>
      Object.assign(c.livenessProbe!, { failureThreshold: 1 })
    ),
    "no start": inContainer(broker, (container) => delete container.startupProbe),
    "a port that is none": inContainer(api, (container) => {
      container.livenessProbe = { httpGet: { path: "/health", port: "metrics" } }
    })
  }),
  ...found("selectsItsOwn", {
    "pods that their StatefulSet does not know": inPod("StatefulSet/streamer", (pod) => {
      pod.metadata.labels = { ...pod.metadata.labels, "app.kubernetes.io/component": "collector" }
    }),
    "a Service of every pod": inSpec("Service", "api", {
      selector: { "app.kubernetes.io/name": "telemetry-pipeline" }
    }),
    "a spread of nobody": inPod(api, ({ spec }) => {
      spec.topologySpreadConstraints = [{ labelSelector: { matchLabels: { app: "api" } } }]
    }),
    "a budget of nobody": inSpec("PodDisruptionBudget", "api", { selector: { matchLabels: { app: "api" } } }),
    "a test that is taken for a gateway": inPod("Pod/smoke", ({ metadata }) => {
      metadata.labels = { ...metadata.labels, "app.kubernetes.io/component": "gateway" }
    })
  }),
  ...found("isLabelled", {
    "an object without an instance": (objects) => {
      objectNamed(objects, "ConfigMap", "gpu-telemetry-config").metadata.labels = {}
    },
    "a Job's pods that its release does not find": inPod(setup, ({ metadata }) => {
      metadata.labels = { ...metadata.labels, "app.kubernetes.io/instance": "another" }
    }),
    "a claim that can't be upgraded": (objects) => {
      const [claim] = objectNamed(objects, "StatefulSet", "mq-server").spec!.volumeClaimTemplates!
      claim!.metadata.labels = { "app.kubernetes.io/version": "1" }
    }
  }),
  ...found("isReached", {
    "a Service of a port that nobody has": (objects) => {
      objectNamed(objects, "Service", "api").spec!.ports![0]!.targetPort = "web"
    },
    "another number": inContainer(api, (container) =>
      Object.assign(container.ports![0]!, { containerPort: 80 })
    ),
    "a StatefulSet without a Service": inSpec("StatefulSet", "streamer", { serviceName: "streamers" }),
    "pods one after another": inSpec("StatefulSet", "collector", { podManagementPolicy: "OrderedReady" }),
    "a full log that nobody can read": inSpec("Service", "mq-server", { publishNotReadyAddresses: false }),
    "a test of what is not there": inContainer("Pod/smoke", (container) => {
      container.args = ["http://api:80", ...container.args!.slice(1)]
    })
  }),
  ...found(
    "isReached",
    {
      "an Ingress to no Service": inIngress({ name: "gateway", port: { name: "http" } }),
      "an Ingress to no port": inIngress({ name: "api", port: { name: "web" } }),
      "a scrape of a port that nobody has": inScrape({ port: "metrics" }),
      "a scrape longer than its interval": inScrape({ scrapeTimeout: "1m" })
    },
    "everything"
  ),
  ...found("isScaled", {
    "a budget that holds a drain up": inSpec("PodDisruptionBudget", "api", {
      maxUnavailable: undefined,
      minAvailable: 2
    }),
    "a budget for those that are not ready": inSpec("PodDisruptionBudget", "api", {
      unhealthyPodEvictionPolicy: "IfHealthyBudget"
    }),
    "two who say how many": inSpec("Deployment", "api", { replicas: 2 }),
    "a Job that is tried once": inSpec("Job", "influxdb-setup-1", { backoffLimit: 0 }),
    "an autoscaler that may not scale": inSpec("HorizontalPodAutoscaler", "api", { maxReplicas: 2 }),
    "an autoscaler of nothing": inSpec("HorizontalPodAutoscaler", "api", {
      scaleTargetRef: { kind: "Deployment", name: "gateway" }
    })
  }),
  ...found("isKept", {
    "a Secret that goes": (objects) => {
      objectNamed(objects, "Secret", "gpu-telemetry-secret").metadata.annotations = {}
    },
    "samples that go": (objects) => {
      delete objectNamed(objects, "PersistentVolumeClaim", "influxdb-pvc").metadata.annotations
    },
    "a log that goes": inSpec("StatefulSet", "mq-server", {
      persistentVolumeClaimRetentionPolicy: { whenDeleted: "Delete", whenScaled: "Retain" }
    }),
    "an InfluxDB that is ended as by a crash": inContainer("Deployment/influxdb", (c) => delete c.lifecycle),
    "two InfluxDBs on one volume": inSpec("Deployment", "influxdb", { strategy: { type: "RollingUpdate" } })
  })
]
