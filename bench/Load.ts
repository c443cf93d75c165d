/** Load on an HTTP server from a process of its own. */
import { execFile } from "node:child_process"
import { createRequire } from "node:module"
import { promisify } from "node:util"

export interface Load {
  readonly perSecond: number
  readonly p50Ms: number
  readonly p99Ms: number
  /** Time of this process, all its threads together, per request. */
  readonly cpuMicros: number
}

export interface LoadOptions {
  readonly connections: number
  readonly seconds: number
}

const autocannon = createRequire(import.meta.url).resolve("autocannon")

const script = `
const [path, options] = process.argv.slice(1)
require(path)(JSON.parse(options)).then((result) => console.log(JSON.stringify(result)))
`

/** Asks for these paths in turn, as fast as answers come. */
export const load = async (
  url: string,
  paths: ReadonlyArray<string>,
  { connections, seconds }: LoadOptions
): Promise<Load> => {
  const before = process.cpuUsage()
  const options = { url, connections, duration: seconds, requests: paths.map((path) => ({ path })) }
  const { stdout } = await promisify(execFile)(
    process.execPath,
    ["-e", script, autocannon, JSON.stringify(options)],
    { maxBuffer: 16 * 1024 * 1024 }
  )
  const used = process.cpuUsage(before)
  const result = JSON.parse(stdout)
  const failed = result.non2xx + result.errors
  if (failed > 0) {
    const statuses = JSON.stringify(result.statusCodeStats)
    throw new Error(`${url}${paths[0]}: ${failed} failed, ${result.timeouts} by time; statuses ${statuses}`)
  }
  return {
    perSecond: result.requests.average,
    p50Ms: result.latency.p50,
    p99Ms: result.latency.p99,
    cpuMicros: (used.user + used.system) / result.requests.total
  }
}
