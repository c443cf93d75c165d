/** As much of Kubernetes' API as Helm asks for when a chart looks a Secret up: what the chart does depends on what is there. */
import { createServer, type Server } from "node:http"
import type { AddressInfo } from "node:net"
import { type Rendering, refusal, render } from "./Chart.ts"
import { type KubernetesObject, type Labels, ofKind } from "./ChartObjects.ts"

const resources = {
  kind: "APIResourceList",
  groupVersion: "v1",
  resources: [{ name: "secrets", singularName: "secret", namespaced: true, kind: "Secret", verbs: ["get"] }]
}

export class ChartCluster {
  /** By name, in base64 as Kubernetes has them. */
  readonly secrets = new Map<string, Labels>()
  private constructor(private readonly server: Server) {
    server.on("request", ({ url = "" }, response) => {
      const [, name = ""] = /^\/api\/v1\/namespaces\/gpu-telemetry\/secrets\/([^/?]+)$/.exec(url) ?? []
      const data = this.secrets.get(name)
      const secret = data && { apiVersion: "v1", kind: "Secret", metadata: { name }, data }
      const answer = url.startsWith("/api/v1?") ? resources : secret
      response.writeHead(answer === undefined ? 404 : 200, { "content-type": "application/json" })
      response.end(
        JSON.stringify(answer ?? { apiVersion: "v1", kind: "Status", reason: "NotFound", code: 404 })
      )
    })
  }

  static async start(): Promise<ChartCluster> {
    const server = createServer()
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve))
    return new ChartCluster(server)
  }

  private rendering(values: unknown): Rendering {
    const url = `http://127.0.0.1:${(this.server.address() as AddressInfo).port}`
    return { values, args: ["--dry-run=server", "--kube-apiserver", url] }
  }

  /** Installs or upgrades: Secrets that are rendered are there afterwards. */
  async install(values: unknown): Promise<ReadonlyArray<KubernetesObject>> {
    const objects = await render(this.rendering(values))
    for (const { metadata, data = {} } of ofKind(objects, "Secret")) this.secrets.set(metadata.name, data)
    return objects
  }

  /** Why an installation is refused. */
  refusal(values: unknown): Promise<string> {
    return refusal(this.rendering(values))
  }

  stop(): void {
    this.server.close()
  }
}
