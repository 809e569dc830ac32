/** sql`SELECT … ${value}`: values are bound, never pasted in. Gives the rows. */
export type Sql = <Row extends Record<string, unknown> = Record<string, unknown>>(
  text: TemplateStringsArray,
  ...values: readonly unknown[]
) => Promise<Row[]>;
