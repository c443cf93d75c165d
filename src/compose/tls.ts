/** The files that TLS was set up with, read. */
import { readFile } from "node:fs/promises"
import { Effect } from "effect"
import { SettingError } from "../layers/Setting.ts"
import type { TlsFiles } from "../layers/settings/tls.ts"

const variables = { ca: "MQ_TLS_CA", certificate: "MQ_TLS_CERT", key: "MQ_TLS_KEY" } as const

const read = (file: keyof TlsFiles, path: string | undefined) =>
  path === undefined
    ? Effect.succeed({})
    : Effect.tryPromise({
        try: async () => ({ [file]: await readFile(path, "utf8") }),
        catch: (cause) =>
          new SettingError({
            problems: [
              `${variables[file]}: ${JSON.stringify(path)} can't be read: ${(cause as Error).message}`
            ]
          })
      })

type Texts = { readonly [F in keyof TlsFiles]?: string }

/** PEM texts, of the files that were set. */
export const readTlsFiles = ({ ca, certificate, key }: TlsFiles): Effect.Effect<Texts, SettingError> =>
  Effect.map(
    Effect.all([read("ca", ca), read("certificate", certificate), read("key", key)]),
    (texts): Texts => Object.assign({}, ...texts)
  )
