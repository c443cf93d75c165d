/**
 * deploy/kind, as far as it goes where no node image can be pulled: the configuration is read by the real kind, down to the container
 * that it asks the engine for; the engine is a stand-in. What setup.sh does is seen from how it calls stand-ins of everything; with
 * the real helm and kubectl it runs in test/kubernetes.
 */
import { cp, mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises"
import { tmpdir } from "node:os"
import { dirname, join } from "node:path"
import { afterEach, beforeEach, describe, expect, it } from "vitest"
import { standIns } from "../kubernetes/StandIns.ts"
import { describeWith, outcomeOf, root } from "./Tool.ts"

let folder: string

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "kind-"))
})
afterEach(() => rm(folder, { recursive: true, force: true }))

/** An engine that has the node's image, and starts no container. */
const engineForKind = `
case "$1 $2" in
  "-v "*) echo "Docker version 28.0.0, build 0" ;;
  "info "*) echo '{"CgroupVersion": "2", "CgroupDriver": "systemd", "SecurityOptions": []}' ;;
  "network ls"*) echo 0123456789ab ;;
  "network inspect"*) echo '[{"Name": "kind", "Id": "0123456789ab", "Containers": {}}]' ;;
  "run "*) exit 1 ;;
esac`

describeWith(["kind"], "kind", () => {
  const create = async (config: string) => {
    const { env, calls } = await standIns(folder, { docker: engineForKind })
    const args = ["create", "cluster", "--config", config, "--kubeconfig", join(folder, "kubeconfig")]
    const outcome = await outcomeOf("kind", args, { env: { ...env, KIND_EXPERIMENTAL_PROVIDER: "docker" } })
    return { ...outcome, node: (await calls()).find((call) => call.startsWith("docker run ")) ?? "" }
  }

  it("makes the cluster with its ports on this machine alone, and the folder of the file read-only", async () => {
    const { stderr, node } = await create("deploy/kind/cluster.yaml")
    expect(stderr).toContain('Creating cluster "gpu-telemetry"')
    expect(node).toContain(" --name gpu-telemetry-control-plane ")
    expect(node.match(/--publish=\S+/g)).toEqual([
      "--publish=127.0.0.1:30080:30080/TCP",
      "--publish=127.0.0.1:30086:30086/TCP",
      expect.stringMatching(/^--publish=127\.0\.0\.1:\d+:6443\/TCP$/)
    ])
    expect(node.match(/--volume=\S+/g)).toEqual([`--volume=${join(root, "deploy/kind/data")}:/data:ro`])
  })

  it("refuses a field that it does not know, so that the configuration above has none", async () => {
    const misspelt = join(folder, "cluster.yaml")
    const config = await readFile(join(root, "deploy/kind/cluster.yaml"), "utf8")
    await writeFile(misspelt, config.replace("readOnly", "readonly"))
    const { exitCode, stderr, node } = await create(misspelt)
    expect(exitCode).toBe(1)
    expect(stderr).toMatch(/field readonly not found/)
    expect(node).toBe("")
  })
})

/** An engine with one image, whose nodes see the folder of the file. */
const engine = `
case "$1" in
  exec) cksum deploy/kind/data/dcgm_metrics.csv ;;
  image) echo "sha256:\${IMAGE_ID:-0123456789abcdef}" ;;
  save) echo image >"$3" ;;
esac`
const kind = `
clusters=$(dirname "$0")/clusters
case "$*" in
  "get clusters") cat "$clusters" 2>/dev/null || echo "No kind clusters found." >&2 ;;
  "create cluster "*) echo gpu-telemetry >"$clusters" ;;
esac`

const answers = {
  docker: engine,
  kind,
  kubectl: `[[ "$*" != *"get namespace"* ]] || grep -q "create namespace" "$(dirname "$0")/../calls"`,
  helm: "",
  curl: `echo '{"total_gpus":8,"total_metrics":1000}'`
}

/** A copy of what the scripts use, as one of them leaves a file beside itself. */
const copyScripts = async () => {
  for (const path of ["package.json", "deploy/kind", "deploy/sample"]) {
    await mkdir(join(folder, dirname(path)), { recursive: true })
    await cp(join(root, path), join(folder, path), { recursive: true })
  }
  await rm(join(folder, "deploy/kind/data"), { recursive: true, force: true })
}

/** Runs a script of the copy among stand-ins. */
const runScript = async (
  script: string,
  args: ReadonlyArray<string>,
  programs: Record<string, string>,
  env: NodeJS.ProcessEnv = {}
) => {
  const standing = await standIns(folder, programs)
  const outcome = await outcomeOf(join(folder, "deploy/kind", script), args, {
    env: { ...standing.env, ...env }
  })
  return { ...outcome, calls: await standing.calls() }
}

describe("setup.sh", () => {
  beforeEach(copyScripts)

  const setUp = (env: NodeJS.ProcessEnv = {}, programs: Record<string, string> = answers) =>
    runScript("setup.sh", [], programs, env)
  const data = () => readFile(join(folder, "deploy/kind/data/dcgm_metrics.csv"), "utf8")
  const firstWords = (calls: ReadonlyArray<string>, count: number) =>
    calls.map((call) => call.split(" ").slice(0, count).join(" "))

  it("goes from nothing to data in order, and says what to open", async () => {
    const { exitCode, stdout, stderr, calls } = await setUp()
    expect(stderr).not.toContain("setup.sh:")
    expect(exitCode).toBe(0)
    expect(
      firstWords(
        calls.map((call) => call.replace(/ --(context|kube-context|namespace) \S+/g, "")),
        3
      )
    ).toEqual([
      "docker info",
      "kind get clusters",
      "kind create cluster",
      "docker exec gpu-telemetry-control-plane",
      "docker build --file",
      "docker image inspect",
      "docker tag localhost/telemetry-pipeline:0.1.0",
      "docker save --output",
      "docker image rm",
      "kind load image-archive",
      "kubectl get namespace",
      "kubectl create namespace",
      "kubectl label namespace",
      "helm upgrade --install",
      "curl --silent --max-time"
    ])
    expect(stdout).toContain("http://localhost:30080/swagger/")
    expect(await data()).toBe(await readFile(join(root, "deploy/sample/dcgm_metrics.csv"), "utf8"))
  })

  it("names its own cluster in every call that could reach another", async () => {
    const { calls } = await setUp()
    const reaching = calls.filter((call) => /^(kubectl|helm) /.test(call))
    expect(reaching.length).toBeGreaterThan(3)
    for (const call of reaching)
      expect(call).toMatch(/--(kube-)?context kind-gpu-telemetry --namespace gpu-telemetry /)
  })

  it("run again with nothing changed it keeps the cluster, and calls helm with the very same values", async () => {
    const first = await setUp()
    const { exitCode, calls } = await setUp()
    expect(exitCode).toBe(0)
    expect(calls.join("\n")).toMatch(/kind export kubeconfig/)
    expect(calls.join("\n")).not.toMatch(/create cluster|rollout/)
    const ofHelm = (all: ReadonlyArray<string>) => all.filter((call) => call.startsWith("helm "))
    expect(ofHelm(calls)).toEqual(ofHelm(first.calls))
  })

  it("a changed image gets another tag, so that pods are made of it", async () => {
    const tagOf = ({ calls }: Awaited<ReturnType<typeof setUp>>) =>
      /image\.tag=(\S+)/.exec(calls.join("\n"))?.[1]
    const first = tagOf(await setUp())
    const second = tagOf(await setUp({ IMAGE_ID: "fedcba9876543210" }))
    expect([first, second]).toEqual(["0.1.0-0123456789ab", "0.1.0-fedcba987654"])
  })

  it("another CSV_FILE takes the place of the one before, and streamers start again for it", async () => {
    await setUp()
    await writeFile(join(folder, "other.csv"), "uuid,metric_name,value\nGPU-1,M,1\n")
    const { exitCode, calls } = await setUp({ CSV_FILE: "other.csv" })
    expect(exitCode).toBe(0)
    expect(await data()).toBe("uuid,metric_name,value\nGPU-1,M,1\n")
    expect(calls.join("; ")).toMatch(
      /rollout restart statefulset\/streamer.*rollout status statefulset\/streamer/
    )
  })

  it("passes on further files of values, the last one last", async () => {
    const { calls } = await setUp({ VALUES: "one.yaml two.yaml" })
    expect(calls.find((call) => call.startsWith("helm "))).toContain(
      " --values deploy/kind/values.yaml --values one.yaml --values two.yaml "
    )
  })

  it("a cluster that has another folder at /data is not used, and the way out is named", async () => {
    const { exitCode, stderr, calls } = await setUp(
      {},
      { ...answers, docker: engine.replace(/cksum .*csv/, "echo 1 1") }
    )
    expect(exitCode).toBe(1)
    expect(stderr).toMatch(/another \/data .*make kind-delete/)
    expect(calls.join("\n")).not.toMatch(/build|helm/)
  })

  it("names every program that is missing, and where it comes from", async () => {
    const programs = join(folder, "few")
    await mkdir(programs)
    for (const tool of ["bash", "dirname", "sed", "docker"]) {
      const path = (
        await outcomeOf("which", [tool], { env: { PATH: `/usr/bin:${process.env.PATH}` } })
      ).stdout.trim()
      await cp(path || "/bin/true", join(programs, tool), { dereference: true })
    }
    const { exitCode, stderr, calls } = await setUp({ PATH: programs })
    expect(exitCode).toBe(1)
    expect([...stderr.matchAll(/^ {2}(\w+): https:/gm)].map(([, tool]) => tool)).toEqual([
      "kind",
      "kubectl",
      "helm",
      "curl"
    ])
    expect(calls).toEqual([])
  })

  it.each([
    ["an engine that does not run", { docker: "exit 1" }, {}, /docker is there but does not answer/],
    ["a file that is not there", {}, { CSV_FILE: "missing.csv" }, /CSV_FILE=missing\.csv: no file/]
  ])("%s is told before anything is made", async (_, programs, env, message) => {
    const { exitCode, stderr, calls } = await setUp(env, { ...answers, ...programs })
    expect(exitCode).toBe(1)
    expect(stderr).toMatch(message)
    expect(firstWords(calls, 2)).toEqual(["docker info"])
  })

  it("works with podman, too", async () => {
    const { exitCode, calls } = await setUp({ CONTAINER_ENGINE: "podman" }, { ...answers, podman: engine })
    expect(exitCode).toBe(0)
    expect(calls.filter((call) => call.startsWith("docker "))).toEqual([])
    expect(calls.filter((call) => call.startsWith("podman ")).length).toBeGreaterThan(4)
  })
})

describe("image.sh build", () => {
  beforeEach(copyScripts)

  it("labels the image with its version and, in a checkout, with the revision", async () => {
    const programs = { docker: engine, git: "echo 89abcdef" }
    const build = async () => (await runScript("image.sh", ["build"], programs)).calls.at(-1)
    expect(await build()).toMatch(/^docker build .* --build-arg VERSION=0\.1\.0 --tag \S+:0\.1\.0 \.$/)
    await mkdir(join(folder, ".git"))
    expect(await build()).toContain(" --build-arg VERSION=0.1.0 --build-arg REVISION=89abcdef --tag ")
  })
})

describe("reset-influxdb.sh", () => {
  beforeEach(copyScripts)

  const rendering = "printf '%s\\n' 'kind: PersistentVolumeClaim' 'metadata:' '  name: influxdb-pvc'"
  const reset = async (claim: string, helm = rendering) => {
    const outcome = await runScript("reset-influxdb.sh", [], {
      kubectl: `[[ "$*" != *"get deployment"* ]] || echo "${claim}"`,
      helm
    })
    const changes = outcome.calls
      .filter((call) => !/ get deployment |--dry-run/.test(call))
      .map((call) => call.replace(/ --(context|kube-context|namespace) \S+/g, ""))
    return { ...outcome, changes }
  }

  it.each([
    ["the chart's claim", "influxdb-pvc"],
    ["nothing, as after a run that was cut short", ""]
  ])("replaces %s, once it is clear that the upgrade can follow", async (_, claim) => {
    const { exitCode, changes, calls } = await reset(claim)
    expect(exitCode).toBe(0)
    expect(calls[1]).toMatch(/^helm .* upgrade .* --reset-then-reuse-values .*--dry-run=server$/)
    expect(changes.map((call) => call.split(" ").slice(0, 4).join(" "))).toEqual([
      "kubectl delete deployment influxdb",
      "kubectl delete persistentvolumeclaim influxdb-pvc",
      "helm upgrade telemetry-pipeline deploy/helm/telemetry-pipeline",
      "kubectl rollout restart deployment/api",
      "kubectl rollout status deployment/api",
      "kubectl rollout status statefulset/collector"
    ])
  })

  it.each([
    ["a claim that is not the chart's", "mine", rendering, /claim is mine/],
    ["an upgrade that fails", "influxdb-pvc", "exit 1", /can't be upgraded/],
    ["an upgrade that would make no claim", "influxdb-pvc", "echo 'kind: Service'", /would make no claim/]
  ])("deletes nothing where there is %s", async (_, claim, helm, message) => {
    const { exitCode, stderr, changes } = await reset(claim, helm)
    expect(exitCode).toBe(1)
    expect(stderr).toMatch(message)
    expect(changes).toEqual([])
  })
})
