/**
 * A real Kubernetes of one node, for one test at a time on a machine: etcd, API server, scheduler, kubelet and the rest, in namespaces
 * of their own (../shared/kube). Pods see nothing but each other; NodePorts answer at `node`.
 */
import { existsSync } from "node:fs"
import { readFile } from "node:fs/promises"
import { join } from "node:path"
import { describe } from "vitest"
import { describeWith, execute, type Outcome, outcomeOf, root } from "../deploy/Tool.ts"

const scripts = join(root, "../shared/kube")
const network = "10.239"
/** Short, as sockets lie in it, and the same each time, so that what a killed run left behind goes with the next. */
const folder = `/tmp/kube-${network}`
const tools = [
  "ctr",
  "containerd",
  "runc",
  "iptables",
  "ipset",
  "openssl",
  "jq",
  "nsenter",
  "kubectl",
  "helm"
]

/** A suite that needs a cluster, and these programs beside. Skipped loudly where there is none; in CI it fails then. */
export const describeOnCluster = (name: string, others: ReadonlyArray<string>, suite: () => void): void => {
  if (existsSync(join(scripts, "up"))) describeWith([...tools, ...others], name, suite)
  else if (process.env.CI === "true") throw new Error(`${name}: no ${scripts}`)
  else {
    console.warn(`SKIPPED: ${name}: no ${scripts}`)
    describe.skip(name, suite)
  }
}

export const namespace = "gpu-telemetry"

export class Cluster {
  /** Where NodePorts answer. */
  readonly node = `${network}.0.2`
  /** Addresses of pods, and of the node and this machine. */
  readonly pods = `${network}.1.0/24`
  /** kubectl's name for it. */
  readonly context = "kube"
  readonly env = { KUBECONFIG: join(folder, "kubeconfig") }

  private constructor() {}

  static async up(): Promise<Cluster> {
    const cluster = new Cluster()
    await cluster.down()
    try {
      await execute(join(scripts, "up"), [folder], { env: { KUBE_NET: network } })
    } catch (failure) {
      await cluster.down()
      throw failure
    }
    return cluster
  }

  async down(): Promise<void> {
    await execute(join(scripts, "down"), [folder])
  }

  /** In the namespace of the release. */
  kubectl(...args: ReadonlyArray<string>): Promise<string> {
    return execute("kubectl", ["--namespace", namespace, ...args], { env: this.env })
  }

  kubectlOutcome(...args: ReadonlyArray<string>): Promise<Outcome> {
    return outcomeOf("kubectl", ["--namespace", namespace, ...args], { env: this.env })
  }

  async get<A>(...args: ReadonlyArray<string>): Promise<A> {
    return JSON.parse(await this.kubectl("get", ...args, "--output", "json"))
  }

  async apply(object: unknown): Promise<void> {
    const args = ["--namespace", namespace, "apply", "--filename", "-"]
    await execute("kubectl", args, { env: this.env, input: JSON.stringify(object) })
  }

  helm(...args: ReadonlyArray<string>): Promise<string> {
    return execute("helm", ["--namespace", namespace, ...args], { env: this.env })
  }

  /** The program, and its first arguments, that hand an archive of images to the node. */
  readonly importing = [
    "ctr",
    "--address",
    join(folder, "containerd.sock"),
    "--namespace",
    "k8s.io",
    "images",
    "import"
  ]

  async importImages(archive: string): Promise<void> {
    const [ctr, ...args] = this.importing
    await execute(ctr!, [...args, archive])
  }

  /** Runs a program among the processes of the node. */
  async onNode(...command: ReadonlyArray<string>): Promise<string> {
    const pid = (await readFile(join(folder, "node.pid"), "utf8")).trim()
    return execute("nsenter", ["--target", pid, "--mount", "--pid", "--net", ...command])
  }

  /** The process of a container, as the node counts them. */
  async processOf(containerId: string): Promise<string> {
    const id = containerId.replace("containerd://", "")
    const tasks = await execute("ctr", [
      "--address",
      join(folder, "containerd.sock"),
      "--namespace",
      "k8s.io",
      "tasks",
      "list"
    ])
    const line = tasks.split("\n").find((task) => task.startsWith(id))
    if (line === undefined) throw new Error(`no task of ${id}`)
    return line.split(/\s+/)[1]!
  }
}
