/**
 * The pipeline on a cluster, as `make kind-setup` puts it there. kind alone is not to be had, since the image of its node can't be
 * pulled: it is stood in for by one that hands images to our node. The engine is podman, which finds the image built; helm, kubectl
 * and all else are real.
 */
import { cp, mkdir, mkdtemp, rm, writeFile } from "node:fs/promises"
import { dirname, join } from "node:path"
import { containerEnvironment, influxdbImage, pipelineImage } from "../deploy/Images.ts"
import { execute, root } from "../deploy/Tool.ts"
import { type Cluster, namespace } from "./Cluster.ts"
import { standIns } from "./StandIns.ts"

const fill = (text: string, values: Record<string, string>): string =>
  Object.entries(values).reduce((filled, [name, value]) => filled.replaceAll(`<${name}>`, value), text)

/** Builds with what is built already, and runs programs of the node in the folder of the file. */
const podman = `
case "$1" in
  build) exit 0 ;;
  exec) shift 2; exec "\${@/#\\/data/deploy/kind/data}" ;;
  *) exec <podman> "$@" ;;
esac`

const kind = `
case "$1 $2" in
  "get clusters") echo gpu-telemetry ;;
  "export kubeconfig") ;;
  "load image-archive") <import> "$5" ;;
  *) echo "nothing stands in for kind $*" >&2; exit 1 ;;
esac`

export type Values = Record<string, unknown>

export class Installation {
  private constructor(
    /** A copy of what the scripts use, as they leave files beside themselves. */
    readonly folder: string,
    /** Where the pipeline's image is for pods. */
    readonly image: string,
    private readonly env: NodeJS.ProcessEnv
  ) {}

  static async prepare(cluster: Cluster): Promise<Installation> {
    const [influxdb, pipeline] = [await influxdbImage(), await pipelineImage()]
    await cluster.importImages(influxdb.archive)
    // Pods are somebody else, and read files below it.
    const folder = await mkdtemp("/tmp/installation-")
    for (const path of [
      "package.json",
      "Makefile",
      "deploy/kind",
      "deploy/helm",
      "deploy/kubernetes",
      "test/integration"
    ]) {
      await mkdir(join(folder, dirname(path)), { recursive: true })
      await cp(join(root, path), join(folder, path), { recursive: true })
    }
    const path = (await execute("which", ["podman"])).trim()
    const { env } = await standIns(join(folder, "stand-ins"), {
      podman: fill(podman, { podman: path }),
      kind: fill(kind, { import: cluster.importing.join(" ") })
    })
    const repository = pipeline.name.slice(0, pipeline.name.lastIndexOf(":"))
    return new Installation(folder, pipeline.name, {
      ...containerEnvironment,
      ...cluster.env,
      ...env,
      CONTAINER_ENGINE: "podman",
      CONTEXT: cluster.context,
      NAMESPACE: namespace,
      IMAGE: repository,
      API_URL: `http://${cluster.node}:30080`,
      INFLUXDB_URL: `http://${cluster.node}:30086`,
      TIMEOUT: "3m"
    })
  }

  async remove(): Promise<void> {
    await rm(this.folder, { recursive: true, force: true })
  }

  /** A file of values, for `VALUES`. */
  async values(name: string, values: Values): Promise<string> {
    const file = join(this.folder, `${name}.yaml`)
    // JSON is YAML.
    await writeFile(file, JSON.stringify(values))
    return file
  }

  /** Runs a program in the copy of the project, as somebody would who has this cluster. */
  run(program: string, ...args: ReadonlyArray<string>): Promise<string> {
    return execute(program, args, { cwd: this.folder, env: this.env })
  }

  make(...args: ReadonlyArray<string>): Promise<string> {
    return this.run("make", ...args)
  }
}
