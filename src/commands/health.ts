/** Asks processes whether they are well: the health check of an image, or anybody's. */
import { Console, Effect, Schema } from "effect"
import type { HealthSettings } from "../layers/settings/commands.ts"
import { loopback } from "../layers/settings/hosts.ts"

/** Whoever takes longer is not well. */
const answerMsMax = 5_000
/** What is shown of an answer. */
const shownCharactersMax = 200

/** Somebody is not well, or nobody is there: a line for each. */
export class NotHealthy extends Schema.TaggedError<NotHealthy>()("NotHealthy", {
  problems: Schema.NonEmptyArray(Schema.String)
}) {
  override get message(): string {
    return this.problems.join("\n")
  }
}

type Answer =
  | { readonly type: "well" | "ill"; readonly line: string }
  /** Nobody listens there. */
  | { readonly type: "nobody"; readonly line: string }

/** The innermost reason that `fetch` gives: its own message says no more than that it failed. */
const reasonOf = (failure: unknown): NodeJS.ErrnoException =>
  failure instanceof Error && failure.cause instanceof Error
    ? failure.cause
    : (failure as NodeJS.ErrnoException)

const ask = (url: URL): Effect.Effect<Answer> =>
  Effect.promise(async () => {
    try {
      const response = await fetch(url, { signal: AbortSignal.timeout(answerMsMax) })
      const text = (await response.text()).replace(/\s+/g, " ").trim().slice(0, shownCharactersMax)
      return { type: response.status === 200 ? "well" : "ill", line: `${url}: ${response.status} ${text}` }
    } catch (failure) {
      const { code, name, message } = reasonOf(failure)
      if (code === "ECONNREFUSED") return { type: "nobody", line: `${url}: nobody listens there` }
      const problem = name === "TimeoutError" ? `no answer within ${answerMsMax} ms` : message || code
      return { type: "ill", line: `${url}: ${problem}` }
    }
  })

/** Ports that the system was to choose are not known, and those that nothing is served on are none. */
const urlsOf = ({ gateway, brokerHttp, probe }: HealthSettings): ReadonlyArray<URL> =>
  [...new Set([gateway.apiPort, brokerHttp.httpPort, probe.probePort])]
    .filter((port) => port !== undefined && port !== 0)
    .map((port) => new URL(`http://${loopback}:${port}/health`))

const linesOf = (answers: ReadonlyArray<Answer>) => answers.map(({ line }) => line)

/**
 * Succeeds where all are well: of those at the URLs each, of the processes of this machine at least one, and each that is
 * there.
 */
export const health = (settings: HealthSettings, urls: ReadonlyArray<URL>) =>
  Effect.gen(function* () {
    const isNamed = urls.length > 0
    const answers = yield* Effect.forEach(isNamed ? urls : urlsOf(settings), ask, {
      concurrency: "unbounded"
    })
    const there = isNamed ? answers : answers.filter(({ type }) => type !== "nobody")
    const [first, ...others] = linesOf(there.filter(({ type }) => type !== "well"))
    if (first !== undefined) return yield* new NotHealthy({ problems: [first, ...others] })
    if (there.length === 0) {
      return yield* new NotHealthy({
        problems: ["no process of this machine is there to be asked", ...linesOf(answers)]
      })
    }
    yield* Console.log(linesOf(there).join("\n"))
  })
