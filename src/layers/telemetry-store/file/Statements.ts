/**
 * Prepared statements of a connection, by their SQL.
 *
 * Values are handed over in one array, always: the driver takes a lone object, as the bytes of a text are, for named values,
 * and ends the process.
 */
import type Libsql from "libsql"

/** What can be bound. A number is bound as a REAL, which a column of integers takes as the integer that it is. */
export type Value = number | bigint | string | Uint8Array | null

export class Statements {
  private readonly prepared = new Map<string, Libsql.Statement<[ReadonlyArray<Value>]>>()

  constructor(readonly connection: Libsql.Database) {}

  /** Every row, as an array of its columns; whole numbers are bigints, bytes an ArrayBuffer. */
  rows<Row>(sql: string, ...values: ReadonlyArray<Value>): Array<Row> {
    return this.get(sql, true).all(values) as Array<Row>
  }

  /** The first row. Of a query for more, the others are read too. */
  row<Row>(sql: string, ...values: ReadonlyArray<Value>): Row | undefined {
    return this.rows<Row>(sql, ...values)[0]
  }

  /** How many rows it has changed. */
  run(sql: string, ...values: ReadonlyArray<Value>): number {
    return this.get(sql, false).run(values).changes
  }

  private get(sql: string, hasRows: boolean): Libsql.Statement<[ReadonlyArray<Value>]> {
    let statement = this.prepared.get(sql)
    if (statement === undefined) {
      statement = this.connection.prepare(sql) as unknown as Libsql.Statement<[ReadonlyArray<Value>]>
      if (hasRows) statement.raw().safeIntegers(true)
      this.prepared.set(sql, statement)
    }
    return statement
  }
}
