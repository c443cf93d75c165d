/**
 * Prepared statements of a connection, by their SQL.
 *
 * Values are handed over in one array, always: the driver takes a lone object, as the bytes of a text are, for named values,
 * and ends the process.
 */
import type Libsql from "libsql"

/** What can be bound. A number is bound as a REAL, which a column of integers takes as the integer that it is. */
export type Value = number | bigint | string | Uint8Array | null

type Statement = Libsql.Statement<[ReadonlyArray<Value>]>

export class Statements {
  private readonly prepared = new Map<string, Statement>()
  private readonly preparedForNumbers = new Map<string, Statement>()

  constructor(readonly connection: Libsql.Database) {}

  /** Every row, as an array of its columns; whole numbers are bigints, bytes an ArrayBuffer. */
  rows<Row>(sql: string, ...values: ReadonlyArray<Value>): Array<Row> {
    return this.get(sql, true).all(values) as Array<Row>
  }

  /** Gives every row to `use`, one after the other; whole numbers are numbers, exact up to 2^53, unless wanted as bigints. */
  each<Row>(sql: string, values: ReadonlyArray<Value>, use: (row: Row) => void, hasBigints: boolean): void {
    const rows = this.get(sql, true, hasBigints).iterate(values) as Iterable<Row>
    for (const row of rows) use(row)
  }

  /** The first row. Of a query for more, the others are read too. */
  row<Row>(sql: string, ...values: ReadonlyArray<Value>): Row | undefined {
    return this.rows<Row>(sql, ...values)[0]
  }

  /** How many rows it has changed. */
  run(sql: string, ...values: ReadonlyArray<Value>): number {
    return this.get(sql, false).run(values).changes
  }

  private get(sql: string, hasRows: boolean, hasBigints = true): Statement {
    const prepared = hasBigints ? this.prepared : this.preparedForNumbers
    let statement = prepared.get(sql)
    if (statement === undefined) {
      statement = this.connection.prepare(sql) as unknown as Statement
      if (hasRows) statement.raw().safeIntegers(hasBigints)
      prepared.set(sql, statement)
    }
    return statement
  }
}
