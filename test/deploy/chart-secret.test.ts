/** The chart's Secret over the life of a release: what InfluxDB's volume knows is never lost, and what is not there is told. */
import { afterEach, beforeEach, expect, it } from "vitest"
import { ChartCluster } from "./ChartCluster.ts"
import { type KubernetesObject, nameOf, ofKind } from "./ChartObjects.ts"
import { programsOf } from "./ChartPrograms.ts"
import { describeWith } from "./Tool.ts"

const encoded = (text: string): string => Buffer.from(text).toString("base64")
const given = "a-token-that-somebody-gives"
const external = { influxdb: { enabled: false, url: "http://influxdb.example.org:8086" } }

/** The tokens for InfluxDB that processes have. */
const tokensIn = (objects: ReadonlyArray<KubernetesObject>): ReadonlyArray<string> =>
  programsOf(objects).flatMap(({ variables }) => variables.INFLUXDB_TOKEN ?? [])

describeWith(["helm"], "the chart's Secret", () => {
  let cluster: ChartCluster
  beforeEach(async () => {
    cluster = await ChartCluster.start()
  })
  afterEach(() => cluster.stop())

  const secretOf = async (values: unknown) => {
    const [secret] = ofKind(await cluster.install(values), "Secret")
    return secret!.data!
  }

  it("has what was generated once, and what is given of a new release", async () => {
    const first = await secretOf({})
    expect(Object.keys(first)).toEqual(["INFLUXDB_TOKEN", "INFLUXDB_PASSWORD", "MQ_TOKEN"])
    expect(await secretOf({})).toEqual(first)
    cluster.secrets.clear()
    const secret = { influxdbToken: given, influxdbPassword: "a-password" }
    const second = await secretOf({ secret })
    expect(second).toMatchObject({
      INFLUXDB_TOKEN: encoded(given),
      INFLUXDB_PASSWORD: encoded("a-password")
    })
    expect(await secretOf({ secret })).toEqual(second)
    expect(await secretOf({})).toEqual(second)
  })

  it("keeps what InfluxDB's volume knows while an InfluxDB of one's own is used, and takes it up again", async () => {
    const own = await cluster.install({})
    const [before] = ofKind(own, "Secret")
    const elsewhere = await cluster.install({ ...external, secret: { influxdbToken: given } })
    expect(tokensIn(elsewhere)).toEqual([given, given])
    expect(ofKind(elsewhere, "Secret")[0]!.data).toEqual({
      ...before!.data,
      EXTERNAL_INFLUXDB_TOKEN: encoded(given)
    })
    const another = { influxdbToken: `${given}-2`, influxdbPassword: "another-password" }
    expect(tokensIn(await cluster.install({ ...external, secret: another }))).toEqual([
      `${given}-2`,
      `${given}-2`
    ])
    const back = await cluster.install({})
    expect(ofKind(back, "Secret")[0]!.data).toEqual(before!.data)
    expect(new Set(tokensIn(back))).toEqual(new Set(tokensIn(own)))
  })

  it("takes no key away by a rollback to the time before InfluxDB", async () => {
    const secret = { influxdbToken: given }
    const first = await secretOf({ ...external, secret })
    expect(await secretOf({})).toMatchObject({ INFLUXDB_TOKEN: first.INFLUXDB_TOKEN! })
  })

  it.each([
    ["influxdbToken", "INFLUXDB_TOKEN", given],
    ["influxdbPassword", "INFLUXDB_PASSWORD", "another-password"]
  ])("refuses a %s that InfluxDB does not know, and says how it is rotated", async (value, key, text) => {
    await cluster.install({})
    const values = { secret: { [value]: text } }
    expect(await cluster.refusal(values)).toMatch(
      new RegExp(
        `secret.${value} is not the ${key} of gpu-telemetry-secret[\\s\\S]*rollout restart[\\s\\S]*delete the Secret`
      )
    )
    cluster.secrets.set("gpu-telemetry-secret", {
      ...cluster.secrets.get("gpu-telemetry-secret"),
      [key]: encoded(text)
    })
    expect(await secretOf(values)).toMatchObject({ [key]: encoded(text) })
  })

  it("has another token of the broker when one is given", async () => {
    const before = await secretOf({})
    expect(await secretOf({ secret: { mqToken: given } })).toEqual({ ...before, MQ_TOKEN: encoded(given) })
  })

  it("of one's own has to have the keys that are read, where it is there", async () => {
    const secret = { existingSecret: "own" }
    expect(ofKind(await cluster.install({ secret }), "Secret").map(nameOf)).toEqual([])
    cluster.secrets.set("own", { INFLUXDB_TOKEN: encoded(given), MQ_TOKEN: encoded(given) })
    expect(await cluster.refusal({ secret })).toContain(
      "secret.existingSecret: the Secret own has no key INFLUXDB_PASSWORD"
    )
    const elsewhere = await cluster.install({ ...external, secret })
    expect(
      programsOf(elsewhere).flatMap(({ container: { env = [] } }) =>
        env.flatMap(({ name, valueFrom }) =>
          name === "INFLUXDB_TOKEN" ? [valueFrom?.secretKeyRef?.key] : []
        )
      )
    ).toEqual(["INFLUXDB_TOKEN", "INFLUXDB_TOKEN"])
  })

  it("of the broker's certificate has to have all of it, where it is there", async () => {
    const values = { mqServer: { tls: { secretName: "certificate" } } }
    await cluster.install(values)
    cluster.secrets.set("certificate", { "tls.crt": "", "tls.key": "" })
    expect(await cluster.refusal(values)).toContain(
      "mqServer.tls.secretName: the Secret certificate has no key ca.crt"
    )
  })

  it("is in no pod by a sum that could be guessed at", async () => {
    const podsWith = async (secret: unknown) => {
      cluster.secrets.clear()
      const objects = await cluster.install({ secret })
      return objects.filter(({ kind }) => kind !== "Secret")
    }
    const secret = { influxdbToken: given, influxdbPassword: "a-password", mqToken: given }
    expect(await podsWith(secret)).toEqual(await podsWith({}))
  })
})
