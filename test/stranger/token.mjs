/**
 * What CONTRACTS.md says of a broker that asks for a token.
 *
 *     node test/stranger/token.mjs PORT TOKEN
 */
import assert from "node:assert/strict"
import { refused, runChecks } from "./running.mjs"

const port = Number(process.argv[2])
const token = process.argv[3]

await runChecks(port, {
  "nothing is served without a hello": async (open) => {
    for (const frame of [
      { type: "publish", payload: 1 },
      { type: "subscribe", subscriber_id: "s", offset: -2 },
      { type: "get_stats" },
      { type: "ping" }
    ]) {
      refused(await (await open()).ask(frame))
    }
  },
  "a wrong token is refused, and so is none": async (open) => {
    for (const wrong of [{ token: `${token}x` }, { token: "" }, {}]) {
      refused(await (await open()).ask({ type: "hello", version: 1, ...wrong }))
    }
  },
  "the right token opens everything": async (open) => {
    const peer = await open()
    assert.equal((await peer.ask({ type: "hello", version: 1, token })).success, true)
    assert.equal((await peer.ask({ type: "publish", payload: 1 })).success, true)
    assert.equal((await peer.ask({ type: "get_stats" })).payload.total_messages, 1)
  }
})
