/** Kubernetes objects, as far as the policies of the chart look into them, and how they refer to each other. */

export type Labels = Readonly<Record<string, string>>

export interface ValueSource {
  readonly secretKeyRef?: { readonly name: string; readonly key: string }
  readonly configMapKeyRef?: { readonly name: string; readonly key: string }
  readonly fieldRef?: { readonly fieldPath: string }
  readonly resourceFieldRef?: unknown
}

export interface Probe {
  readonly httpGet?: { readonly path: string; readonly port: string | number }
  readonly periodSeconds?: number
  readonly failureThreshold?: number
}

export interface Container {
  name: string
  image: string
  command?: Array<string>
  args?: Array<string>
  env?: Array<{ name: string; value?: string; valueFrom?: ValueSource }>
  envFrom?: Array<{ configMapRef?: { name: string }; secretRef?: { name: string } }>
  ports?: Array<{ name: string; containerPort: number }>
  resources?: { requests?: Record<string, string | number>; limits?: Record<string, string | number> }
  securityContext?: {
    allowPrivilegeEscalation?: boolean
    readOnlyRootFilesystem?: boolean
    privileged?: boolean
    runAsUser?: number
    runAsNonRoot?: boolean
    capabilities?: { drop?: Array<string>; add?: Array<string> }
    seccompProfile?: { type: string }
  }
  startupProbe?: Probe
  livenessProbe?: Probe
  readinessProbe?: Probe
  lifecycle?: { preStop?: { sleep?: { seconds: number }; exec?: { command: Array<string> } } }
  volumeMounts?: Array<{ name: string; mountPath: string; readOnly?: boolean }>
}

export interface Volume {
  readonly name: string
  readonly persistentVolumeClaim?: { readonly claimName: string }
  readonly configMap?: { readonly name: string }
  readonly secret?: { readonly secretName: string }
  readonly emptyDir?: { readonly sizeLimit?: string }
}

export interface PodSpec {
  serviceAccountName?: string
  automountServiceAccountToken?: boolean
  enableServiceLinks?: boolean
  hostNetwork?: boolean
  hostPID?: boolean
  hostIPC?: boolean
  terminationGracePeriodSeconds?: number
  securityContext?: {
    runAsNonRoot?: boolean
    runAsUser?: number
    runAsGroup?: number
    fsGroup?: number
    fsGroupChangePolicy?: string
    seccompProfile?: { type: string }
  }
  initContainers?: Array<Container>
  containers: Array<Container>
  volumes?: Array<Volume>
  topologySpreadConstraints?: Array<{ labelSelector?: Selector }>
}

export interface Selector {
  readonly matchLabels?: Labels
  readonly matchExpressions?: ReadonlyArray<unknown>
}

export interface Template {
  metadata: { labels?: Labels; annotations?: Labels }
  spec: PodSpec
}

/** The fields of the specs of all kinds that are looked at; each kind has some of them. */
export interface Spec {
  replicas?: number
  serviceName?: string
  selector?: Selector & Labels
  template?: Template
  strategy?: { type?: string }
  type?: string
  clusterIP?: string
  ports?: Array<{ name: string; port: number; targetPort: string | number; nodePort?: number }>
  publishNotReadyAddresses?: boolean
  volumeClaimTemplates?: Array<{ metadata: { name: string; labels?: Labels }; spec: unknown }>
  persistentVolumeClaimRetentionPolicy?: { whenDeleted: string; whenScaled: string }
  podManagementPolicy?: string
  scaleTargetRef?: { kind: string; name: string }
  minReplicas?: number
  maxReplicas?: number
  backoffLimit?: number
  maxUnavailable?: number | string
  minAvailable?: number | string
  unhealthyPodEvictionPolicy?: string
  claimRef?: { namespace: string; name: string }
  volumeName?: string
  endpoints?: Array<{ port: string; interval: string; scrapeTimeout: string }>
  /** Of an Ingress. */
  rules?: ReadonlyArray<{
    http?: { paths: ReadonlyArray<{ backend: { service?: { name: string; port: { name?: string } } } }> }
  }>
}

export interface KubernetesObject {
  readonly apiVersion: string
  readonly kind: string
  metadata: {
    readonly name: string
    readonly namespace?: string
    labels?: Labels
    annotations?: Labels
  }
  spec?: Spec
  readonly data?: Labels
}

/** How an object is named in what is said about it. */
export const nameOf = ({ kind, metadata }: KubernetesObject): string => `${kind}/${metadata.name}`

export const ofKind = (
  objects: ReadonlyArray<KubernetesObject>,
  kind: string
): ReadonlyArray<KubernetesObject> => objects.filter((object) => object.kind === kind)

export interface Pod extends Template {
  /** The object that makes it. */
  readonly of: KubernetesObject
  readonly name: string
  /** Whether it is there to stay: no Job, no test. */
  readonly isServing: boolean
}

/** Pods by what makes them. */
export const podsOf = (objects: ReadonlyArray<KubernetesObject>): ReadonlyArray<Pod> =>
  objects.flatMap((of) => {
    const name = nameOf(of)
    if (of.kind === "Pod") {
      return [{ of, name, isServing: false, metadata: of.metadata, spec: of.spec as unknown as PodSpec }]
    }
    const template = of.spec?.template
    return template === undefined ? [] : [{ of, name, isServing: of.kind !== "Job", ...template }]
  })

export const containersOf = ({ spec }: Pod): ReadonlyArray<Container> => [
  ...(spec.initContainers ?? []),
  ...spec.containers
]

export const isSelected = (selector: Labels, labels: Labels = {}): boolean =>
  Object.entries(selector).every(([key, value]) => labels[key] === value)

/** The labels of the serving pods that a selector finds, and of all others that it finds. */
export const selectedBy = (selector: Labels, pods: ReadonlyArray<Pod>): ReadonlyArray<string> =>
  pods.filter(({ metadata }) => isSelected(selector, metadata.labels)).map(({ name }) => name)

/** Bytes of a quantity such as 512Mi. */
export const bytesOf = (quantity: string | number): number => {
  const [, number, unit] = /^([0-9.]+)([A-Za-z]*)$/.exec(String(quantity)) ?? []
  const units: Record<string, number> = { "": 1, k: 1e3, M: 1e6, G: 1e9, T: 1e12, Ki: 2 ** 10, Mi: 2 ** 20 }
  const bytes = Number(number) * (units[unit!] ?? { Gi: 2 ** 30, Ti: 2 ** 40 }[unit!] ?? Number.NaN)
  if (Number.isNaN(bytes)) throw new Error(`no quantity: ${quantity}`)
  return bytes
}
