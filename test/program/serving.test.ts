/** The program as it runs by default: in a loop, answering, and ending in order. */
import { readFile } from "node:fs/promises"
import { describe, expect, test } from "vitest"
import { eventually, start, startByNpm } from "./Program.ts"

describe("the running program", () => {
  test("says where its API, Swagger UI and the broker's figures are, and all answer", async () => {
    const program = await start([])
    const [, swagger] = await program.says(/Swagger +(http:\S+)/)
    expect((await fetch(swagger!)).status).toBe(200)
    const stats = await eventually(
      () => program.json<{ total_metrics: number; total_gpus: number }>("/api/v1/stats"),
      ({ total_metrics }) => total_metrics > 0
    )
    expect(stats.total_gpus).toBeGreaterThan(0)
    const [, broker] = await program.says(/Broker +(http:\S+)\/stats/)
    expect(await (await fetch(`${broker}/stats`)).json()).toMatchObject({ oldest_offset: 0 })
    for (const server of [broker, await program.url()]) {
      const scraped = await (await fetch(`${server}/metrics`)).text()
      for (const name of [
        "telemetry_streamer_rows_read_total",
        "telemetry_broker_next_offset",
        "telemetry_collector_samples_stored_total",
        "telemetry_store_samples",
        "telemetry_gateway_requests_total",
        "process_cpu_seconds_total"
      ]) {
        expect(scraped).toMatch(new RegExp(`^${name}(\\{.+\\})? \\d`, "m"))
      }
    }
    program.signal("SIGINT")
    expect(await program.exit).toBe(0)
  })

  test.each(["SIGINT", "SIGTERM"] as const)(
    "stores what it has read before it ends on %s",
    async (signal) => {
      const program = await start(["--rate", "max", "--collect-interval", "1h", "--batch-size", "700"])
      await eventually(
        () => program.json<{ total_metrics: number }>("/api/v1/stats"),
        ({ total_metrics }) => total_metrics > 0
      )
      program.signal(signal)
      expect(await program.exit).toBe(0)
      // Batches are never due: what is in none yet gets into the store by draining alone.
      const [, read, stored] = /rows read ([\d,]+), .* samples stored ([\d,]+), rejects 0/.exec(
        program.said()
      )!
      expect(stored).toBe(read)
    }
  )

  test("drains when npm, which it was started by, is told to end", async () => {
    const program = startByNpm(["--rate", "100"])
    await program.url()
    program.signal("SIGTERM")
    expect(await program.exit).toBe(0)
    expect(program.said()).toMatch(/stopping: storing what was read; once more ends at once\nrows read/)
  })

  test("answers /health at full speed, in flat memory, and still ends on a signal", async () => {
    const program = await start(["--rate", "max", "--simulate", "8x8"], {
      MEMORY_MAX_SAMPLES: "20000",
      LOG_RETENTION_BYTES: "4MiB"
    })
    const stored = async () => {
      expect((await program.get("/health")).status).toBe(200)
      const stats = await program.json<{ total_metrics: number; evicted: number }>("/api/v1/stats")
      return stats.total_metrics + stats.evicted
    }
    const residentKiB = async () =>
      Number(/VmRSS:\s+(\d+)/.exec(await readFile(`/proc/${program.pid}/status`, "utf8"))![1])
    await eventually(stored, (samples) => samples > 100_000)
    const before = await residentKiB()
    await eventually(stored, (samples) => samples > 500_000)
    // What went through meanwhile was 400,000 samples; kept, their payloads alone would take 115 MiB.
    expect((await residentKiB()) - before).toBeLessThan(100 * 1024)
    program.signal("SIGINT")
    expect(await program.exit).toBe(0)
  }, 180_000)

  test("ends at once on a second signal, whatever it waits for", async () => {
    const program = await start(["--rate", "max", "--simulate", "1x1"])
    const samples = () => program.json<{ total_metrics: number }>("/api/v1/stats")
    await eventually(samples, ({ total_metrics }) => total_metrics > 30_000)
    const { data: uuids } = await program.json<{ data: Array<string> }>("/api/v1/gpus")
    // An export that nobody reads keeps the gateway from ending.
    const unread = await program.get(`/api/v1/gpus/${uuids[0]}/telemetry/export`)
    program.signal("SIGINT")
    await program.says(/stopping/)
    const code = await eventually(
      async () => {
        program.signal("SIGINT")
        return Promise.race([program.exit, new Promise((resolve) => setImmediate(resolve))])
      },
      (exit) => exit !== undefined
    )
    expect(code).toBe(130)
    await unread.body?.cancel().catch(() => {})
  })

  test("says that original timestamps in a loop store nothing new", async () => {
    const program = await start(["--timestamps", "original"])
    await program.says(/every pass after the first stores the same samples again/)
    program.signal("SIGTERM")
    expect(await program.exit).toBe(0)
  })

  test("names the port that is in use and what sets another, in one line", async () => {
    const first = await start([])
    const { port } = new URL(await first.url())
    for (const [variable, flag] of [
      ["API_PORT", "--api-port"],
      ["HTTP_PORT", "--http-port"]
    ] as const) {
      const second = await start([], { [variable]: port })
      expect(await second.exit).toBe(1)
      expect(second.said()).toBe(
        `cannot listen on 127.0.0.1:${port}: the port is in use (${variable} or ${flag} sets another)\n`
      )
    }
    first.signal("SIGTERM")
    expect(await first.exit).toBe(0)
  })
})
