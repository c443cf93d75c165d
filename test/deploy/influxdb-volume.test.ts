/**
 * influxdb-volume.sh where something fails or is cut short: that InfluxDB is never left stopped without need, nor started with a volume
 * that is not whole. kubectl is a stand-in, whose volume is a folder; test/kubernetes does it for real.
 */
import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { afterEach, beforeEach, describe, expect, it } from "vitest"
import { standIns } from "../kubernetes/StandIns.ts"
import { outcomeOf, root } from "./Tool.ts"

/** A cluster whose collectors have the checkpoints of the file `now`, and whose broker's log is LOG. */
const kubectl = `
cd "$(dirname "$0")/.."
case "$*" in
  "config current-context") echo somewhere ;;
  *" get deployment influxdb "*) printf '%s\\n' "\${REPLICAS:-1}" claim '' '' '' end ;;
  *" get statefulset "*) echo image ;;
  *" get persistentvolumeclaim "*) echo "\${LOG:-log-1}" ;;
  *" wait pod influxdb-volume "*) exit "\${UNREADY:-0}" ;;
  *" get events "*) echo "FailedScheduling: no node has room" ;;
  *" exec \${AWAY:-nobody} "*) exit 1 ;;
  *" offsets list") [ -z "\${DEAF:-}" ] && printf '%s\\n' 'the log is empty; the next message gets 9' 'ID OFFSET' && cat now ;;
  *" create "*) cat >pod ;;
  *" cat >/tmp/checkpoints") cat >checkpoints ;;
  *" -exec rm "*) rm -r volume && mkdir volume ;;
  *" exec influxdb-volume -- sh "*)
    [ -z "\${CUT:-}" ] || { kill -TERM "$PPID"; exec sleep 60; }
    [ -z "\${BROKEN:-}" ] || exit 1
    tar -cz ./checkpoints -C volume ./influxd.bolt ;;
  *" exec --stdin influxdb-volume -- tar "*) [ -z "\${BROKEN:-}" ] && tar -C volume -xz --exclude ./checkpoints ;;
  *" delete pod "*) exit "\${UNDELETABLE:-0}" ;;
esac`

let folder: string
let file: string

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "influxdb-volume-"))
  file = join(folder, "saved.tar.gz")
  await mkdir(join(folder, "volume"))
  await holds("first")
  await collectorsAre("collector-0 5", "collector-1 7", "someone 9")
})
afterEach(() => rm(folder, { recursive: true, force: true }))

const bolt = () => join(folder, "volume/influxd.bolt")
const holds = (text: string) => writeFile(bolt(), text)
const collectorsAre = (...lines: ReadonlyArray<string>) =>
  writeFile(join(folder, "now"), `${lines.join("\n")}\n`)

const run = async (action: string, env: NodeJS.ProcessEnv = {}) => {
  const standing = await standIns(folder, { kubectl })
  const script = join(root, "deploy/kubernetes/influxdb-volume.sh")
  const outcome = await outcomeOf(script, [action, file], {
    env: { ...standing.env, CONTEXT: undefined, NAMESPACE: undefined, ...env }
  })
  const calls = await standing.calls()
  const scales = calls.flatMap((call) => / scale deployment influxdb --replicas (\d)/.exec(call)?.[1] ?? [])
  const set = calls.flatMap((call) => / offsets set (.*)$/.exec(call)?.[1] ?? [])
  return { ...outcome, calls, scales, set }
}

describe("influxdb-volume.sh", () => {
  it("restores what was saved, and sends back those collectors that have come further", async () => {
    const saved = await run("save")
    expect(saved).toMatchObject({ exitCode: 0, stderr: "", scales: ["0", "1"], set: [] })
    expect(saved.stdout).toMatch(/^context somewhere, namespace gpu-telemetry\n/)
    expect(await readFile(join(folder, "pod"), "utf8")).toContain("claimName: claim}")
    await holds("second")
    await collectorsAre("collector-0 12", "collector-1 6", "collector-2 12", "someone 12")
    const restored = await run("restore")
    expect(restored).toMatchObject({ exitCode: 0, stderr: "", scales: ["0", "1"], set: ["collector-0 5"] })
    expect(await readFile(bolt(), "utf8")).toBe("first")
    expect(await readdir(join(folder, "volume"))).toEqual(["influxd.bolt"])
  })

  it("restores beside another log, of which InfluxDB then has nothing, from its beginning", async () => {
    await run("save")
    await collectorsAre("collector-0 3", "collector-1 0", "collector-2 2")
    const { exitCode, set } = await run("restore", { LOG: "log-2" })
    expect(exitCode).toBe(0)
    expect(set).toEqual(["collector-0 0", "collector-2 0"])
  })

  it("names the context in every call, where one is given", async () => {
    const { stdout, calls } = await run("save", { CONTEXT: "elsewhere", NAMESPACE: "mine" })
    expect(stdout).toMatch(/^context elsewhere, namespace mine\n/)
    for (const call of calls.filter((line) => line.startsWith("kubectl ")))
      expect(call).toMatch(/^kubectl --context elsewhere --namespace mine /)
  })

  it.each(["save", "restore"])("%s stops nothing where the broker can't be asked", async (action) => {
    if (action === "restore") await run("save")
    const { exitCode, stderr, scales } = await run(action, { DEAF: "yes" })
    expect(exitCode).toBe(1)
    expect(stderr).toContain("mq-server can't be asked")
    expect(scales).toEqual([])
  })

  it("asks from the broker's own pod where no collector runs", async () => {
    const { exitCode, calls } = await run("save", { AWAY: "collector-0" })
    expect(exitCode).toBe(0)
    expect(calls.filter((call) => call.endsWith("offsets list")).map((call) => call.split(" ")[4])).toEqual([
      "collector-0",
      "mq-server-0",
      "mq-server-0"
    ])
  })

  it("stops nothing for a file that can't be written", async () => {
    file = join(folder, "missing/saved.tar.gz")
    const { exitCode, stderr, scales } = await run("save")
    expect(exitCode).toBe(1)
    expect(stderr).toContain("can't be written")
    expect(scales).toEqual([])
  })

  it("tells why its pod does not start, and starts InfluxDB again", async () => {
    await run("save")
    const { exitCode, stderr, scales } = await run("restore", { UNREADY: "1" })
    expect(exitCode).toBe(1)
    expect(stderr).toMatch(/FailedScheduling: no node has room\n.*does not start/)
    expect(scales).toEqual(["0", "1"])
  })

  it("asks nobody to restore a file that is cut off", async () => {
    await run("save")
    const whole = await readFile(file)
    await writeFile(file, whole.subarray(0, whole.length - 20))
    const { exitCode, stderr, calls } = await run("restore")
    expect(exitCode).toBe(1)
    expect(stderr).toContain("not whole")
    expect(calls).toEqual([])
  })

  it.each([
    ["fails", { BROKEN: "yes" }, 1],
    ["is ended by a signal", { CUT: "yes" }, 143]
  ])(
    "a save that %s starts InfluxDB again, even where its pod can't be deleted, and leaves no file",
    async (_, env, code) => {
      const { exitCode, stderr, scales } = await run("save", { ...env, UNDELETABLE: "1" })
      expect(exitCode).toBe(code)
      expect(stderr).toContain("delete pod influxdb-volume")
      expect(scales).toEqual(["0", "1"])
      expect((await readdir(folder)).filter((name) => name.startsWith("saved"))).toEqual([])
    }
  )

  it("a restore that fails midway leaves InfluxDB stopped until it is run again", async () => {
    await run("save")
    const { exitCode, stderr, scales } = await run("restore", { BROKEN: "yes" })
    expect(exitCode).toBe(1)
    expect(stderr).toContain("InfluxDB stays stopped, as its volume is not whole: run restore again")
    expect(scales).toEqual(["0"])
    const again = await run("restore", { REPLICAS: "0" })
    expect(again).toMatchObject({ exitCode: 0, scales: ["0", "1"] })
    expect(await readFile(bolt(), "utf8")).toBe("first")
  })

  it("saves no InfluxDB that is stopped: its volume may not be whole", async () => {
    const { exitCode, stderr, scales } = await run("save", { REPLICAS: "0" })
    expect(exitCode).toBe(1)
    expect(stderr).toContain("stopped already")
    expect(scales).toEqual([])
  })
})
