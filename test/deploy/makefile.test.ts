/** The Makefile: each target is there, explained, and does what it says as far as `make -n` tells; three really run. */
import { mkdtemp, readFile, rm } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { afterAll, beforeAll, expect, it } from "vitest"
import { describeWith, execute, outcomeOf, root } from "./Tool.ts"

/** What makes of each target what it is. */
const targets: Record<string, RegExp> = {
  build: /^npm run build$/m,
  test: /^npm test$/m,
  coverage: /^npm run coverage$/m,
  "docker-build": /^deploy\/kind\/image\.sh build$/m,
  "kind-setup": /^deploy\/kind\/setup\.sh$/m,
  "kind-delete": /kind delete cluster --name gpu-telemetry$/m,
  "load-kind": /image\.sh build\n.*image\.sh load$/m,
  "k8s-deploy": /image\.sh build\n.*image\.sh load\) && deploy\/kind\/deploy\.sh/m,
  "k8s-delete": / uninstall telemetry-pipeline .*\n.* delete namespace gpu-telemetry /m,
  "k8s-status": / status telemetry-pipeline .*\n.* get pods,/m,
  "k8s-reset-influxdb": /^deploy\/kind\/reset-influxdb\.sh$/m,
  "helm-install": / install telemetry-pipeline deploy\/helm\/telemetry-pipeline /m,
  "helm-upgrade": / upgrade telemetry-pipeline deploy\/helm\/telemetry-pipeline /m,
  "helm-uninstall": / uninstall telemetry-pipeline /m,
  "helm-template": /^helm template telemetry-pipeline deploy\/helm\/telemetry-pipeline /m,
  "integration-test": /^npm run test:integration$/m,
  "integration-test-kind": /^test\/integration\/integration\.sh$/m,
  "openapi-gen": /tsx scripts\/openapi\.ts dist\/openapi\.json$/m,
  "port-forward-api": /port-forward service\/api 8080:8080$/m,
  "port-forward-influxdb": /port-forward service\/influxdb 8086:8086$/m,
  clean: /^rm -rf dist coverage$/m,
  "clean-docker": /^docker image ls --quiet localhost\/telemetry-pipeline /m,
  help: /awk/
}

/** What a make within a make, or a setting of whoever runs the tests, must not change. */
const clean = {
  ...Object.fromEntries(
    [
      ...["MAKEFLAGS", "MAKELEVEL", "CLUSTER", "NAMESPACE", "RELEASE"],
      ...["IMAGE", "VERSION", "CONTEXT", "VALUES"]
    ].map((name) => [name, undefined])
  ),
  CONTAINER_ENGINE: "docker"
}
const make = (...args: ReadonlyArray<string>) => execute("make", args, { env: clean })

describeWith(["make", "bash"], "the Makefile", () => {
  let folder: string
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), "make-"))
  })
  afterAll(() => rm(folder, { recursive: true, force: true }))

  it("has these targets, and `make` alone explains each of them in a line", async () => {
    const help = await make()
    const explained = [...help.matchAll(/^ {2}(\S+) +\S.{10,}$/gm)].map(([, target]) => target)
    expect(explained).toEqual(Object.keys(targets))
    expect(help).toBe(await make("help"))
  })

  it.each(Object.entries(targets))("%s", async (target, recipe) => {
    expect(await make("-n", target)).toMatch(recipe)
  })

  it("no file of a target's name stands in its way", async () => {
    const makefile = await readFile(join(root, "Makefile"), "utf8")
    const phony = /^\.PHONY:((?:.*\\\n)*.*)$/m.exec(makefile)![1]!
    expect(
      phony
        .split(/[\s\\]+/)
        .filter((name) => name !== "")
        .sort()
    ).toEqual(Object.keys(targets).sort())
  })

  it("every call that could reach a cluster names it, and another one is a variable away", async () => {
    const reaching = Object.keys(targets).filter((target) => /^(k8s|helm-[^t]|port)/.test(target))
    for (const target of reaching) {
      const calls = (await make("-n", target, "CONTEXT=elsewhere", "NAMESPACE=mine"))
        .split("\n")
        .filter((line) => /^(helm|kubectl) /.test(line))
      for (const call of calls) expect(call).toMatch(/^\S+ --(kube-)?context elsewhere --namespace mine /)
    }
  })

  it("an upgrade changes the image where the caller names one, and keeps the release's otherwise", async () => {
    expect(await make("-n", "helm-upgrade")).not.toContain("image.")
    const named = await make("-n", "helm-upgrade", "IMAGE=example/pipeline", "VERSION=1.2.3")
    expect(named).toContain(" --set image.repository=example/pipeline --set-string image.tag=1.2.3 ")
    const env = { ...clean, VERSION: "1.2.3" }
    const ofEnvironment = await execute("make", ["-n", "helm-upgrade"], { env })
    expect(ofEnvironment).toContain(" --set-string image.tag=1.2.3 ")
    expect(ofEnvironment).not.toContain("image.repository")
  })

  it("has the defaults of the scripts that it calls", async () => {
    const names = ["CLUSTER", "NAMESPACE", "RELEASE", "IMAGE", "VERSION", "CSV_FILE", "CONTEXT", "API_URL"]
    const printed = names.map((name) => `${name}=$${name}`).join("\n")
    const ofScripts = await execute("bash", ["-c", `. deploy/kind/settings.sh; echo "${printed}"`], {
      env: clean
    })
    const ofMake = await make(
      "-s",
      "--eval",
      `print:;@echo "${printed.replaceAll("\n", "\\n").replaceAll("$", "$$$$")}"`,
      "print"
    )
    expect(ofMake.replaceAll("\\n", "\n")).toBe(ofScripts)
    const { version } = JSON.parse(await readFile(join(root, "package.json"), "utf8"))
    expect(ofScripts).toContain(`VERSION=${version}\n`)
  })

  it("openapi-gen writes the document that the gateway serves", async () => {
    const file = join(folder, "some/where/openapi.json")
    await make("openapi-gen", `OPENAPI=${file}`)
    const { gatewayDocument } = await import("../../src/http/GatewayDocument.ts")
    expect(JSON.parse(await readFile(file, "utf8"))).toEqual(JSON.parse(JSON.stringify(gatewayDocument)))
  })

  it("openapi-gen fails where it can't write", async () => {
    const { exitCode } = await outcomeOf("make", ["openapi-gen", "OPENAPI=/dev/null/openapi.json"], {
      env: clean
    })
    expect(exitCode).not.toBe(0)
  })
})

describeWith(["make", "helm"], "the Makefile's helm-template", () => {
  it("prints what the chart makes of the image and of VALUES", async () => {
    const rendered = await make(
      "helm-template",
      "IMAGE=example/pipeline",
      "VERSION=1.2.3",
      "VALUES=deploy/kind/values.yaml"
    )
    expect(rendered).toMatch(/image: "?example\/pipeline:1\.2\.3"?$/m)
    expect(rendered).toMatch(/imagePullPolicy: Never$/m)
  })
})
