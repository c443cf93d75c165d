/** Swagger UI in a real browser that reaches nothing but the gateway. */
import { existsSync } from "node:fs"
import { expect, it } from "@effect/vitest"
import { Effect } from "effect"
import { chromium } from "playwright-core"
import { GatewayAddress } from "../../src/http/Gateway.ts"
import { sampleAt } from "../Samples.ts"
import { gatewayOver, storeOf } from "./TestGateway.ts"

/** CI installs Debian's package; elsewhere a path may be given. */
const executablePath = process.env.CHROMIUM ?? "/usr/bin/chromium"
const isThere = existsSync(executablePath)
const mustRun = process.env.CI === "true"
if (!isThere && !mustRun)
  console.warn("SKIPPED: no chromium (apt-get install chromium, or CHROMIUM=path): Swagger UI")

const browse = Effect.acquireRelease(
  Effect.promise(() => chromium.launch({ executablePath, args: ["--no-sandbox"] })),
  (browser) => Effect.promise(() => browser.close())
)

it.scopedLive.skipIf(!isThere && !mustRun)(
  "Swagger UI lists every operation, runs one, and asks nobody else",
  () =>
    Effect.gen(function* () {
      const { url } = yield* GatewayAddress
      const browser = yield* browse
      const asked: Array<string> = []
      const failures: Array<string> = []
      yield* Effect.promise(async () => {
        const page = await browser.newPage()
        page.on("request", (request) => asked.push(request.url()))
        page.on("pageerror", (error) => failures.push(error.message))
        page.on("console", (message) => message.type() === "error" && failures.push(message.text()))
        await page.goto(`${url}/swagger/`)
        await page.waitForSelector(".opblock")
        const document = (await (await fetch(`${url}/openapi.json`)).json()) as {
          paths: Record<string, object>
        }
        const operations = Object.values(document.paths).flatMap(Object.keys)
        expect(await page.locator(".opblock").count()).toBe(operations.length)
        const stats = page.locator(".opblock", { hasText: "/api/v1/stats" })
        await stats.locator(".opblock-summary-control").first().click()
        await stats.getByRole("button", { name: "Try it out" }).click()
        await stats.getByRole("button", { name: "Execute" }).click()
        await stats.locator(".live-responses-table .response-col_status", { hasText: "200" }).waitFor()
        expect(await stats.locator(".live-responses-table").innerText()).toContain('"total_metrics": 1')
      })
      expect(failures).toEqual([])
      expect(asked.filter((address) => !address.startsWith(url) && !address.startsWith("data:"))).toEqual([])
    }).pipe(Effect.provide(gatewayOver(storeOf([sampleAt(1)]))))
)
