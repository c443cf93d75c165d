/** What has to hold for whatever the chart renders: each policy names what it finds against it. */
import { readFileSync } from "node:fs"
import { join } from "node:path"
import {
  bytesOf,
  containersOf,
  isSelected,
  type KubernetesObject,
  nameOf,
  ofKind,
  type Pod,
  podsOf,
  selectedBy
} from "./ChartObjects.ts"
import { root } from "./Tool.ts"

export type Policy = (objects: ReadonlyArray<KubernetesObject>) => ReadonlyArray<string>

/** What of some facts does not hold. */
const unmet = (name: string, facts: Readonly<Record<string, boolean>>): ReadonlyArray<string> =>
  Object.entries(facts).flatMap(([fact, holds]) => (holds ? [] : [`${name}: not so: ${fact}`]))

/** What the image tells Node in a variable that the chart's takes the place of. */
const [, imageOptions = ""] =
  /^ENV NODE_OPTIONS=(.+)$/m.exec(readFileSync(join(root, "deploy/docker/Dockerfile"), "utf8")) ?? []

/** Seconds of a duration of one unit. */
const secondsOf = (duration: string): number => {
  const [, number, unit] = /^(\d+)(ms|s|m|h)$/.exec(duration) ?? []
  return Number(number) * ({ ms: 0.001, s: 1, m: 60, h: 3_600 }[unit!] ?? Number.NaN)
}

const ofPods =
  (policy: (pod: Pod) => ReadonlyArray<string>): Policy =>
  (objects) =>
    podsOf(objects).flatMap(policy)

/** PodSecurity's `restricted`, a read-only root, and nothing of Kubernetes' own in the pod. */
const isRestricted = ofPods((pod) => {
  const { spec, name } = pod
  const of = spec.securityContext ?? {}
  return [
    ...unmet(name, {
      "no token of Kubernetes": spec.automountServiceAccountToken === false,
      "no variables of Services": spec.enableServiceLinks === false,
      "no namespace of the host": !spec.hostNetwork && !spec.hostPID && !spec.hostIPC,
      "not root": of.runAsNonRoot === true && (of.runAsUser ?? 0) > 0 && (of.runAsGroup ?? 0) > 0,
      "volumes are its group's, and their owners are looked at once":
        of.fsGroup === of.runAsGroup && of.fsGroupChangePolicy === "OnRootMismatch",
      seccomp: of.seccompProfile?.type === "RuntimeDefault"
    }),
    ...containersOf(pod).flatMap(({ name: container, securityContext: own = {} }) =>
      unmet(`${name} ${container}`, {
        "no more privileges": own.allowPrivilegeEscalation === false && own.privileged !== true,
        "a read-only root": own.readOnlyRootFilesystem === true,
        "no capabilities":
          String(own.capabilities?.drop) === "ALL" && (own.capabilities?.add ?? []).length === 0,
        "whom the pod runs as": own.runAsUser === undefined && own.runAsNonRoot !== false,
        "the pod's seccomp": own.seccompProfile === undefined
      })
    )
  ]
})

const volumeKinds = ["persistentVolumeClaim", "configMap", "secret", "emptyDir"]

/** Volumes are claims, settings, secrets or bounded folders; none is the node's, and each is mounted. */
const areVolumes = ofPods((pod) => {
  const volumes = pod.spec.volumes ?? []
  const claimed = (pod.of.spec?.volumeClaimTemplates ?? []).map(({ metadata }) => metadata.name)
  const names = [...volumes.map(({ name }) => name), ...claimed]
  const mounts = containersOf(pod).flatMap(({ volumeMounts = [] }) => volumeMounts)
  return [
    ...volumes.flatMap(({ name, ...kinds }) =>
      unmet(`${pod.name} ${name}`, {
        "a kind of volume that restricted pods may have": Object.keys(kinds).every((kind) =>
          volumeKinds.includes(kind)
        ),
        "a folder has a limit": kinds.emptyDir === undefined || kinds.emptyDir.sizeLimit !== undefined,
        "settings and secrets are read-only":
          (kinds.configMap === undefined && kinds.secret === undefined) ||
          mounts.every((mount) => mount.name !== name || mount.readOnly === true)
      })
    ),
    ...unmet(pod.name, {
      "mounts are of its volumes": mounts.every(({ name }) => names.includes(name)),
      "its volumes are mounted": names.every((name) => mounts.some((mount) => mount.name === name))
    })
  ]
})

const isPinned = ofPods((pod) =>
  containersOf(pod).flatMap(({ name, image }) =>
    unmet(`${pod.name} ${name}: ${image}`, {
      "a tag or a digest, and not latest":
        /^[^:@]+(:\d+\/[^:@]+)?(:(?!latest$)[\w.-]+|@sha256:[0-9a-f]{64})$/.test(image)
    })
  )
)

const hasResources = ofPods((pod) =>
  containersOf(pod).flatMap(({ name, resources: { requests = {}, limits = {} } = {} }) =>
    unmet(`${pod.name} ${name}`, {
      "requests and limits of CPU and memory": [requests, limits].every(
        ({ cpu, memory }) => cpu !== undefined && memory !== undefined
      ),
      "no more is requested than is allowed": bytesOf(requests.memory ?? 0) <= bytesOf(limits.memory ?? 0)
    })
  )
)

/** Beyond the heap there has to be room for buffers, and each runtime has to know what it may have. */
const hasRoomBesideItsHeap = ofPods((pod) =>
  containersOf(pod).flatMap(({ name, env = [], resources }) => {
    const valueOf = (variable: string) => env.find((one) => one.name === variable)?.value ?? ""
    const options = valueOf("NODE_OPTIONS").split(" ")
    const [heap] = options.flatMap((option) => /^--max-old-space-size=(\d+)$/.exec(option)?.[1] ?? [])
    const goLimit = Number(/^(\d+)MiB$/.exec(valueOf("GOMEMLIMIT"))?.[1] ?? 0) * 2 ** 20
    if (!pod.isServing) return []
    const limit = bytesOf(resources?.limits?.memory ?? "0")
    return unmet(
      `${pod.name} ${name}`,
      name === "influxdb"
        ? { "Go knows of about eight tenths of the memory": goLimit > 0.7 * limit && goLimit <= 0.8 * limit }
        : {
            "Node's heap is at most six tenths of the memory":
              Number(heap ?? 0) > 0 && Number(heap) * 2 ** 20 <= 0.6 * limit,
            "what the image tells Node is told here, too": options.includes(imageOptions)
          }
    )
  })
)

/** A restart mends no full disk and no InfluxDB that is away: alive is who answers at all. */
const hasProbes = ofPods((pod) =>
  containersOf(pod).flatMap((container) => {
    const { startupProbe, livenessProbe, readinessProbe, ports = [] } = container
    const probes = [startupProbe, livenessProbe, readinessProbe]
    return unmet(
      `${pod.name} ${container.name}`,
      pod.isServing
        ? {
            "it starts and lives by /health": [startupProbe, livenessProbe].every(
              (probe) => probe?.httpGet?.path === "/health"
            ),
            "it has minutes to start, and one late answer ends nothing":
              (startupProbe?.periodSeconds ?? 10) * (startupProbe?.failureThreshold ?? 3) >= 300 &&
              (livenessProbe?.failureThreshold ?? 3) >= 3,
            "it is ready by /ready": readinessProbe?.httpGet?.path === "/ready",
            "it is asked at a named port of its own": probes.every((probe) =>
              ports.some(({ name }) => name === probe?.httpGet?.port)
            )
          }
        : { "nobody asks what ends by itself": probes.every((probe) => probe === undefined) }
    )
  })
)

/** Whatever selects pods finds those of one component, and all of them. */
const selectsItsOwn: Policy = (objects) => {
  const pods = podsOf(objects)
  const one = (of: KubernetesObject, selector: Readonly<Record<string, string>> | undefined) =>
    unmet(nameOf(of), {
      "it selects the pods of one workload": selectedBy(selector ?? {}, pods).length === 1
    })
  return [
    ...pods.flatMap(({ of, name, metadata }) =>
      of.spec?.selector === undefined
        ? []
        : [
            ...one(of, of.spec.selector.matchLabels),
            ...unmet(name, {
              "it selects its own": isSelected(of.spec.selector.matchLabels ?? {}, metadata.labels)
            })
          ]
    ),
    ...pods.flatMap(({ of, name, spec: { topologySpreadConstraints = [] } }) =>
      topologySpreadConstraints.flatMap(({ labelSelector }) =>
        unmet(name, {
          "it spreads its own pods": String(selectedBy(labelSelector?.matchLabels ?? {}, pods)) === nameOf(of)
        })
      )
    ),
    ...ofKind(objects, "Service").flatMap((service) => one(service, service.spec?.selector)),
    ...ofKind(objects, "PodDisruptionBudget").flatMap((budget) =>
      one(budget, budget.spec?.selector?.matchLabels)
    )
  ]
}

const nameLabel = "app.kubernetes.io/name"
const instanceLabel = "app.kubernetes.io/instance"
const labelNames = ["name", "instance", "version", "managed-by", "part-of"]

const isLabelled: Policy = (objects) => [
  ...objects.flatMap((object) =>
    unmet(nameOf(object), {
      "it has the labels": labelNames.every((label) =>
        Boolean(object.metadata.labels?.[`app.kubernetes.io/${label}`])
      )
    })
  ),
  ...podsOf(objects).flatMap(({ name, metadata }) =>
    unmet(name, {
      "its pods have a component": Boolean(metadata.labels?.["app.kubernetes.io/component"]),
      "its pods have the name": metadata.labels?.[nameLabel] === "telemetry-pipeline",
      "its pods are found by the release": metadata.labels?.[instanceLabel] === "telemetry-pipeline"
    })
  ),
  ...objects.flatMap((object) =>
    (object.spec?.volumeClaimTemplates ?? []).flatMap(({ metadata }) =>
      unmet(nameOf(object), {
        "its claims have no label that an upgrade changes, as it may not":
          metadata.labels?.["app.kubernetes.io/version"] === undefined,
        "its claims are found by the release": metadata.labels?.[instanceLabel] === "telemetry-pipeline"
      })
    )
  )
]

/** What serving pods are reached by: Services by named ports, StatefulSets with a Service of theirs. */
const isReached: Policy = (objects) => {
  const pods = podsOf(objects)
  const services = ofKind(objects, "Service")
  const isServed = (host: string | undefined, port: string | undefined) =>
    services.some(
      ({ metadata, spec }) =>
        metadata.name === host &&
        spec?.ports?.some((of) => port !== undefined && [of.name, String(of.port)].includes(port))
    )
  const endpoints = ofKind(objects, "ServiceMonitor").flatMap(({ spec }) => spec?.endpoints ?? [])
  return [
    ...ofKind(objects, "Ingress").flatMap((ingress) =>
      (ingress.spec?.rules ?? [])
        .flatMap(({ http }) => http?.paths ?? [])
        .flatMap(({ backend: { service } }) =>
          unmet(nameOf(ingress), { "its Service is there": isServed(service?.name, service?.port.name) })
        )
    ),
    ...pods.flatMap((pod) =>
      containersOf(pod)
        .flatMap(({ args = [] }) => args.filter((text) => text.startsWith("http://")))
        .map((text) => new URL(text))
        .flatMap(({ href, hostname, port }) =>
          unmet(pod.name, { [`${href} is a Service`]: isServed(hostname, port) })
        )
    ),
    ...endpoints.flatMap(({ port, interval, scrapeTimeout }) =>
      unmet("ServiceMonitor", {
        "every Service has its port": services.every(({ metadata }) => isServed(metadata.name, port)),
        "a scrape is over before the next": secondsOf(scrapeTimeout) <= secondsOf(interval)
      })
    ),
    ...services.flatMap((service) => {
      const selector = service.spec?.selector ?? {}
      const found = pods.filter(({ metadata }) => isSelected(selector, metadata.labels))
      const named = found.flatMap(containersOf).flatMap(({ ports = [] }) => ports)
      return (service.spec?.ports ?? []).flatMap(({ name, port, targetPort }) =>
        unmet(`${nameOf(service)} ${name}`, {
          "its target is a named port of its pods, of the same number": named.some(
            (of) => of.name === targetPort && of.containerPort === port
          )
        })
      )
    }),
    ...ofKind(objects, "StatefulSet").flatMap((set) =>
      unmet(nameOf(set), {
        "its Service is there": services.some(({ metadata }) => metadata.name === set.spec?.serviceName),
        "a pod that is not ready does not hold up the others": set.spec?.podManagementPolicy === "Parallel"
      })
    ),
    ...services.flatMap((service) =>
      unmet(nameOf(service), {
        "collectors reach a broker whose log is full":
          service.metadata.name !== "mq-server" || service.spec?.publishNotReadyAddresses === true
      })
    )
  ]
}

/** A drain is never held up for ever, nobody but an autoscaler says how many there are, and what fails once is tried again. */
const isScaled: Policy = (objects) => [
  ...ofKind(objects, "PodDisruptionBudget").flatMap((budget) =>
    unmet(nameOf(budget), {
      "one may always go":
        Number(budget.spec?.maxUnavailable) >= 1 && budget.spec?.minAvailable === undefined,
      "nor does one hold it up that is not ready": budget.spec?.unhealthyPodEvictionPolicy === "AlwaysAllow"
    })
  ),
  ...ofKind(objects, "HorizontalPodAutoscaler").flatMap((autoscaler) => {
    const { kind, name } = autoscaler.spec?.scaleTargetRef ?? {}
    const target = objects.find((object) => object.kind === kind && object.metadata.name === name)
    return unmet(nameOf(autoscaler), {
      "it scales what is there": target !== undefined,
      "it may scale": Number(autoscaler.spec?.maxReplicas) > Number(autoscaler.spec?.minReplicas),
      "its target does not say how many": target?.spec?.replicas === undefined
    })
  }),
  ...ofKind(objects, "Job").flatMap((job) =>
    unmet(nameOf(job), { "it is tried again": (job.spec?.backoffLimit ?? 6) >= 3 })
  )
]

/** What holds data outlives a release, and the Secret with it, which the data knows. */
const isKept: Policy = (objects) => [
  ...objects
    .filter(({ kind, metadata }) => kind === "Secret" || metadata.name === "influxdb-pvc")
    .flatMap((object) =>
      unmet(nameOf(object), {
        "it is kept": object.metadata.annotations?.["helm.sh/resource-policy"] === "keep"
      })
    ),
  ...ofKind(objects, "StatefulSet")
    .filter(({ spec }) => spec?.volumeClaimTemplates !== undefined)
    .flatMap((set) => {
      const { whenDeleted, whenScaled } = set.spec?.persistentVolumeClaimRetentionPolicy ?? {}
      return unmet(nameOf(set), {
        "its claims are kept": whenDeleted === "Retain" && whenScaled === "Retain"
      })
    }),
  ...podsOf(objects)
    .filter(({ of, spec }) => of.kind === "Deployment" && spec.volumes?.some((v) => v.persistentVolumeClaim))
    .flatMap(({ of, name, spec }) =>
      unmet(name, {
        "no two have the volume at a time": of.spec?.strategy?.type === "Recreate",
        "InfluxDB ends by the one signal on which it closes its files": spec.containers.some(
          ({ lifecycle }) => lifecycle?.preStop?.exec?.command.some((text) => text.includes("kill -INT 1"))
        )
      })
    )
]

export const policies = {
  isRestricted,
  areVolumes,
  isPinned,
  hasResources,
  hasRoomBesideItsHeap,
  hasProbes,
  selectsItsOwn,
  isLabelled,
  isReached,
  isScaled,
  isKept
} satisfies Record<string, Policy>
export type PolicyName = keyof typeof policies
