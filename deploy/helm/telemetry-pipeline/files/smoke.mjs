/** What `helm test` asks of a release: node smoke.mjs API_URL BROKER_URL TIMEOUT_SECONDS. Each check has until then to come true. */
const [api, broker, timeoutSeconds] = process.argv.slice(2)
const endMs = Date.now() + Number(timeoutSeconds) * 1_000

const ask = async (url) => {
  const response = await fetch(url, { signal: AbortSignal.timeout(10_000) })
  const text = await response.text()
  if (response.status !== 200) throw new Error(`${response.status} ${text.slice(0, 200)}`)
  return JSON.parse(text)
}

/** What there has to be, where to ask, and what makes the answer good. */
const checks = [
  ["the gateway is alive", () => `${api}/health`, (answer) => answer.status === "healthy"],
  ["the gateway reaches InfluxDB", () => `${api}/ready`, (answer) => answer.status === "ready"],
  ["the broker is alive", () => `${broker}/health`, (answer) => typeof answer.status === "string"],
  ["messages are in the log", () => `${broker}/stats`, (answer) => answer.total_messages > 0],
  ["collectors read it", () => `${broker}/stats`, (answer) => answer.subscriber_count > 0],
  ["GPUs are known", () => `${api}/api/v1/gpus`, (answer) => answer.count > 0],
  ["metrics are known", () => `${api}/api/v1/metrics`, (answer) => answer.count > 0],
  ["samples are counted", () => `${api}/api/v1/stats`, (answer) => answer.total_metrics > 0],
  [
    "a GPU has telemetry",
    async () => {
      const { data } = await ask(`${api}/api/v1/gpus?limit=1`)
      return `${api}/api/v1/gpus/${encodeURIComponent(data[0])}/telemetry?limit=1`
    },
    (answer) => answer.data.length === 1 && Number.isFinite(answer.data[0].value)
  ]
]

/** What is wrong with the answer, or nothing. */
const problemOf = async (where, isGood) => {
  try {
    const answer = await ask(await where())
    return isGood(answer) ? undefined : JSON.stringify(answer).slice(0, 500)
  } catch (failure) {
    return failure.cause === undefined ? failure.message : `${failure.message}: ${failure.cause.message}`
  }
}

for (const [what, where, isGood] of checks) {
  let problem = await problemOf(where, isGood)
  while (problem !== undefined && Date.now() < endMs) {
    await new Promise((resolve) => setTimeout(resolve, 1_000))
    problem = await problemOf(where, isGood)
  }
  if (problem !== undefined) {
    console.error(`not so: ${what}: ${problem}`)
    process.exit(1)
  }
  console.log(`ok: ${what}`)
}
