/** Pods as the tests see them: who runs, who is killed, how one ends, whom it reaches. */
import { spawn } from "node:child_process"
import { eventually } from "../deploy/Tool.ts"
import { type Cluster, namespace } from "./Cluster.ts"

interface ContainerStatus {
  readonly containerID?: string
  readonly restartCount: number
  readonly state: { readonly terminated?: { readonly exitCode: number; readonly reason: string } }
}

export interface Pod {
  readonly metadata: {
    readonly name: string
    readonly uid: string
    readonly labels: Record<string, string>
    readonly deletionTimestamp?: string
  }
  readonly spec: { readonly terminationGracePeriodSeconds: number }
  readonly status: {
    readonly phase: string
    readonly podIP?: string
    readonly conditions?: ReadonlyArray<{ readonly type: string; readonly status: string }>
    readonly containerStatuses?: ReadonlyArray<ContainerStatus>
  }
}

export const isReady = ({ status }: Pod): boolean =>
  status.conditions?.some(({ type, status }) => type === "Ready" && status === "True") === true

const label = "app.kubernetes.io/component"

export const podsOf = async (cluster: Cluster, component: string): Promise<ReadonlyArray<Pod>> =>
  (await cluster.get<{ items: ReadonlyArray<Pod> }>("pods", "--selector", `${label}=${component}`)).items

/** Restarts of every container of the namespace, by pod. */
export const restarts = async (cluster: Cluster): Promise<Record<string, number>> => {
  const { items } = await cluster.get<{ items: ReadonlyArray<Pod> }>("pods")
  return Object.fromEntries(
    items.map(({ metadata, status }) => [
      metadata.name,
      (status.containerStatuses ?? []).reduce((sum, { restartCount }) => sum + restartCount, 0)
    ])
  )
}

const isAnswering = (pod: Pod): boolean => isReady(pod) && pod.metadata.deletionTimestamp === undefined

/** Deletes the pod without asking its processes, as when a node is lost, and waits until another one of its name is ready. */
export const loseAndReplace = async (cluster: Cluster, name: string): Promise<void> => {
  const before = await cluster.get<Pod>("pod", name)
  await cluster.kubectl("delete", "pod", name, "--grace-period=0", "--force")
  await eventually(
    `another ${name} is ready`,
    90,
    () => cluster.get<Pod>("pod", name),
    (pod) => pod.metadata.uid !== before.metadata.uid && isAnswering(pod)
  )
}

/** Kills the process of the pod, and waits until the kubelet has started it again and it is ready. */
export const killProcess = async (cluster: Cluster, name: string): Promise<void> => {
  const [before] = (await cluster.get<Pod>("pod", name)).status.containerStatuses!
  await cluster.onNode("kill", "-KILL", await cluster.processOf(before!.containerID!))
  await eventually(
    `${name} is ready again`,
    90,
    () => cluster.get<Pod>("pod", name),
    (pod) => pod.status.containerStatuses![0]!.restartCount > before!.restartCount && isAnswering(pod)
  )
}

export interface Ending {
  readonly exitCode: number
  readonly tookSeconds: number
  readonly graceSeconds: number
}

/** Deletes the pod as an upgrade or a drain of its node does; how its container ended is seen in what changes until it is gone. */
export const endGracefully = async (cluster: Cluster, name: string): Promise<Ending> => {
  const { metadata, spec } = await cluster.get<Pod>("pod", name)
  const watching = spawn(
    "kubectl",
    [
      ...["--namespace", namespace, "get", "pods", "--field-selector", `metadata.name=${name}`],
      ...[
        "--watch",
        "--output",
        'jsonpath={.metadata.uid} {.status.containerStatuses[0].state.terminated.exitCode}{"\\n"}'
      ]
    ],
    { env: { ...process.env, ...cluster.env }, stdio: ["ignore", "pipe", "inherit"] }
  )
  let seen = ""
  watching.stdout.setEncoding("utf8").on("data", (text) => {
    seen += text
  })
  try {
    await eventually(
      "the watch has begun",
      10,
      async () => seen,
      (text) => text.includes(metadata.uid)
    )
    const startMs = performance.now()
    await cluster.kubectl("delete", "pod", name)
    const tookSeconds = (performance.now() - startMs) / 1000
    const exitCodes = await eventually(
      `the end of ${name} is seen`,
      10,
      async () =>
        [...seen.matchAll(new RegExp(`^${metadata.uid} (\\d+)$`, "gm"))].map(([, code]) => Number(code)),
      (codes) => codes.length > 0
    )
    return { exitCode: exitCodes.at(-1)!, tookSeconds, graceSeconds: spec.terminationGracePeriodSeconds }
  } finally {
    watching.kill()
  }
}

/** A pod that nobody named, with the pipeline's image, which keeps to PodSecurity's `restricted`. */
export const stranger = (name: string, image: string) => ({
  apiVersion: "v1",
  kind: "Pod",
  metadata: { name },
  spec: {
    automountServiceAccountToken: false,
    terminationGracePeriodSeconds: 0,
    securityContext: { runAsNonRoot: true, runAsUser: 10001, seccompProfile: { type: "RuntimeDefault" } },
    containers: [
      {
        name,
        image,
        command: ["node", "-e", "setInterval(() => {}, 1e6)"],
        securityContext: { allowPrivilegeEscalation: false, capabilities: { drop: ["ALL"] } }
      }
    ]
  }
})

/** What says that packets do not get through: a policy drops them without a word, or refuses them in the receiver's name. */
const refusals = ["silence", "ECONNREFUSED"]

/** Whether a program in the pod gets a connection. */
export const reaches = async (
  cluster: Cluster,
  pod: string,
  host: string,
  port: number
): Promise<boolean> => {
  const program = `
    const socket = require("net").connect(${port}, "${host}")
    const end = (answer) => { console.log(answer); process.exit() }
    socket.on("connect", () => end("open")).on("error", ({ code }) => end(code))
    setTimeout(() => end("silence"), 2000)`
  const answer = (await cluster.kubectl("exec", pod, "--", "node", "-e", program)).trim()
  if (answer !== "open" && !refusals.includes(answer)) throw new Error(`${pod} to ${host}:${port}: ${answer}`)
  return answer === "open"
}
