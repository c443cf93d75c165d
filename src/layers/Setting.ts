/**
 * A setting: what an operator may choose by a flag or by an environment variable.
 *
 * One description serves everything that has to agree: the Effect `Config` that reads it, the command line's flag, the
 * help, the table in the README. A flag wins over its variable, that over the variable's older names, and an empty value
 * counts as unset. Flags stand in the same `ConfigProvider` as the variables, under their own names (`--batch-size`), so
 * that the same code reads both and an error names the one that was used.
 */
import { Config, ConfigError, ConfigProvider, Effect, Either, Option, Schema } from "effect"
import type { Kind } from "./settings/kinds.ts"

/** A setting's value as it was given, and by which name. */
export interface Given {
  /** The variable, or the flag with its dashes. */
  readonly name: string
  readonly text: string
  readonly isFlag: boolean
}

export interface Setting<A> {
  readonly env: string
  /** Older names of the variable. */
  readonly aliases: ReadonlyArray<string>
  /** With its dashes: `--batch-size`. */
  readonly flag: string
  /** Whether the flag stands alone and has a `--no-` form. */
  readonly isSwitch: boolean
  /** What it decides, for people. */
  readonly meaning: string
  readonly kind: Pick<Kind<A>, "accepted" | "placeholder">
  /** The default, for people; for a text that depends on the machine, what it is made of. */
  readonly defaultShown: string
  /** The value as it was given, if it was. */
  readonly given: Config.Config<Option.Option<Given>>
  /** Fails with one line that names the flag or variable, its value and what is accepted. */
  readonly config: Config.Config<A>
}

type Reading<A> = Pick<Kind<A>, "accepted" | "parse">

interface Definition<A> {
  readonly env: string
  readonly meaning: string
  readonly kind: Kind<A>
  /** Without dashes; the variable's name in kebab case unless told. */
  readonly flag?: string
  readonly isSwitch?: boolean
  /** Older names of the variable; one that was written otherwise comes with how its text is read. */
  readonly aliases?: ReadonlyArray<string | readonly [name: string, reading: Reading<A>]>
}

const lookUp = (name: string): Config.Config<Option.Option<Given>> =>
  Config.option(Config.string(name)).pipe(
    Config.map(Option.map((text) => text.trim())),
    Config.map(Option.filter((text) => text !== "")),
    Config.map(Option.map((text) => ({ name, text, isFlag: name.startsWith("--") })))
  )

/** Of a value that can't be read, what is shown: the line stays a line. */
const shownCharactersMax = 100

const shown = (text: string): string =>
  JSON.stringify(text.length > shownCharactersMax ? `${text.slice(0, shownCharactersMax)}…` : text)

/** The line for a value that can't be read. */
const refusal = (given: Given, accepted: string): ConfigError.ConfigError =>
  ConfigError.InvalidData(
    [given.name],
    `${given.name}: ${shown(given.text)} is not accepted, expected ${accepted}`
  )

const build = <A, D>(
  { env, flag, meaning, kind, isSwitch = false, aliases = [] }: Definition<A>,
  defaultShown: string,
  defaultOf: () => D
): Setting<A | D> => {
  const flagName = `--${flag ?? env.toLowerCase().replaceAll("_", "-")}`
  const older = aliases.map((alias) => (typeof alias === "string" ? ([alias, kind] as const) : alias))
  const readings = new Map<string, Reading<A>>([[flagName, kind], [env, kind], ...older])
  const given = Config.all([...readings.keys()].map(lookUp)).pipe(Config.map(Option.firstSomeOf))
  return {
    env,
    aliases: older.map(([name]) => name),
    flag: flagName,
    isSwitch,
    meaning,
    kind,
    defaultShown,
    given,
    config: Config.mapOrFail(
      given,
      Option.match({
        onNone: (): Either.Either<A | D, ConfigError.ConfigError> => Either.right(defaultOf()),
        onSome: (value) => {
          const { parse, accepted } = readings.get(value.name)!
          return Either.fromOption(parse(value.text), () => refusal(value, accepted))
        }
      })
    )
  }
}

/** A setting with a default that is the same on every machine. */
export const make = <A>(definition: Definition<A> & { readonly default: NoInfer<A> }): Setting<A> =>
  build(definition, definition.kind.show(definition.default), () => definition.default)

/** A setting whose default, where it has any, is found out when it is needed; `shown` says what it is made of. */
export const makeLate = <A, D>(
  definition: Definition<A> & { readonly default: () => D; readonly shown: string }
): Setting<A | D> => build(definition, definition.shown, definition.default)

/** Settings of any kinds by the name of the field that each gives. */
export type SettingRecord = { readonly [field: string]: Setting<unknown> }

/** The record of values that settings give. */
export type Values<S extends SettingRecord> = {
  readonly [F in keyof S]: S[F] extends Setting<infer A> ? A : never
}

/** The settings of one component. */
export interface Group<S extends SettingRecord, A = Values<S>> {
  /** The component, for people. */
  readonly title: string
  readonly settings: S
  readonly config: Config.Config<A>
}

/** A group whose `config` gives one field per setting. */
export const group = <S extends SettingRecord>(title: string, settings: S): Group<S> => ({
  title,
  settings,
  config: Config.all(
    Object.fromEntries(Object.entries(settings).map(([field, setting]) => [field, setting.config]))
  ) as Config.Config<Values<S>>
})

/** Settings that can't be read, a line each. */
export class SettingError extends Schema.TaggedError<SettingError>()("SettingError", {
  problems: Schema.NonEmptyArray(Schema.String)
}) {
  override get message(): string {
    return this.problems.join("\n")
  }
}

const problemsOf = (error: ConfigError.ConfigError): ReadonlyArray<string> => {
  switch (error._op) {
    case "And":
    case "Or":
      return [...problemsOf(error.left), ...problemsOf(error.right)]
    default:
      return [error.message]
  }
}

/** Reads settings; everything that is wrong with them is told at once. */
export const load = <A>(config: Config.Config<A>): Effect.Effect<A, SettingError> =>
  Effect.mapError(config, (error) => {
    const [first, ...others] = new Set(problemsOf(error))
    return new SettingError({ problems: [first!, ...others] })
  })

/** What flags were given, by name with dashes, over what was there before. */
export const withFlags =
  (flags: ReadonlyMap<string, string>) =>
  <A, E, R>(self: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> =>
    Effect.configProviderWith((before) =>
      Effect.withConfigProvider(
        self,
        ConfigProvider.fromMap(new Map(flags)).pipe(ConfigProvider.orElse(() => before))
      )
    )
