import type { BackendSession, Prepared } from './backend.ts';
import { oracleTypes, outBindType, valueBytes, type BindInfo } from './column-data.ts';
import { answerLob, keepLobs, type KeptLobs } from './lobs.ts';
import {
  bindDirections,
  messageType,
  writeBindDirections,
  writeDescribe,
  writeEnd,
  writeRow,
  writeRowHeader,
  writeStatus,
} from './messages.ts';
import type { Reader } from './reader.ts';
import { executeOptions, functions, readExecute, readLob, readReexecute } from './requests.ts';
import { OraError, type ColumnType, type SqlValue } from './values.ts';
import type { Writer } from './writer.ts';

interface Cursor {
  id: number;
  prepared: Prepared;
  bindInfos: BindInfo[];
  rows: Iterator<readonly SqlValue[]> | null;
  longTexts: boolean[];
  fetched: number;
  /** Which binds came back the last time: the driver sends no value for them when it executes again. */
  outs: ReadonlySet<number>;
}

const noDataFound = 1403;

/** The calls of a session that is logged on. */
export class CallHandler {
  readonly #session: BackendSession;
  readonly #cursors = new Map<number, Cursor>();
  readonly #lobs: KeptLobs = keepLobs();
  #lastCursor = 0;
  #calls = 0;

  constructor(session: BackendSession) {
    this.#session = session;
  }

  /** Number of the call that begins, from 1. */
  count(): number {
    this.#calls += 1;
    return this.#calls;
  }

  takePiggyback({ closes }: { closes: number[] }): void {
    for (const id of closes) this.#cursors.delete(id);
  }

  async answer(code: number, reader: Reader, writer: Writer, signal: AbortSignal): Promise<void> {
    switch (code) {
      case functions.execute:
        return this.#execute(reader, writer, signal);
      case functions.reexecute:
      case functions.reexecuteAndFetch:
        return this.#reexecute(code === functions.reexecuteAndFetch, reader, writer, signal);
      case functions.fetch:
        return this.#fetch(this.#cursor(reader.ub()), reader.ub(), writer);
      case functions.lob:
        answerLob(this.#lobs, readLob(reader), writer);
        return this.#finish(writer);
      case functions.commit:
        this.#session.commit();
        return this.#finish(writer);
      case functions.rollback:
        this.#session.rollback();
        return this.#finish(writer);
      case functions.ping:
      case functions.logOff:
        return this.#finish(writer);
      default:
        throw new OraError(
          3120,
          `two-task conversion routine: integer overflow (function ${code} is not simulated)`,
        );
    }
  }

  #finish(writer: Writer): void {
    writeStatus(writer, this.#session.inTransaction);
  }

  #cursor(id: number): Cursor {
    const cursor = this.#cursors.get(id);
    if (cursor === undefined) throw new OraError(1001, 'invalid cursor');
    return cursor;
  }

  #open(sql: string): Cursor {
    const prepared = this.#session.prepare(sql);
    this.#lastCursor += 1;
    const longTexts: boolean[] = [];
    const cursor: Cursor = {
      id: this.#lastCursor,
      prepared,
      bindInfos: [],
      rows: null,
      longTexts,
      fetched: 0,
      outs: new Set(),
    };
    this.#cursors.set(cursor.id, cursor);
    return cursor;
  }

  async #execute(reader: Reader, writer: Writer, signal: AbortSignal): Promise<void> {
    const request = readExecute(reader);
    const cursor = request.sql === null ? this.#cursor(request.cursor) : this.#open(request.sql);
    const { columns, kind } = cursor.prepared;
    if ((request.options & executeOptions.define) !== 0) {
      const long: readonly number[] = [oracleTypes.long, oracleTypes.longRaw];
      cursor.longTexts = (request.defines ?? []).map(
        ({ oracleType }, at) => long.includes(oracleType) && columns[at]?.type.kind === 'CLOB',
      );
      return writeEnd(writer, { cursor: cursor.id, inTransaction: this.#session.inTransaction });
    }
    cursor.bindInfos = request.bindInfos ?? [];
    const binds = request.readBinds(cursor.bindInfos);
    if (request.sql !== null && kind === 'query') writeDescribe(writer, columns);
    if ((request.options & executeOptions.execute) === 0) {
      return writeEnd(writer, { cursor: cursor.id, inTransaction: this.#session.inTransaction });
    }
    const lobs = columns.some(({ type }) => type.kind === 'CLOB');
    const wanted = (request.options & executeOptions.fetch) !== 0 && !lobs ? request.rows : 0;
    await this.#run(cursor, binds, wanted, writer, signal);
    if ((request.options & executeOptions.commit) !== 0) this.#session.commit();
  }

  async #reexecute(fetches: boolean, reader: Reader, writer: Writer, signal: AbortSignal): Promise<void> {
    const request = readReexecute(reader);
    const cursor = this.#cursor(request.cursor);
    const sent = cursor.bindInfos.filter((_, index) => !cursor.outs.has(index));
    const binds = request.readBinds(sent).map((values) => {
      const left = [...values];
      return cursor.bindInfos.map((_, index) => (cursor.outs.has(index) ? null : (left.shift() ?? null)));
    });
    await this.#run(cursor, binds, fetches ? request.rows : 0, writer, signal);
    if (request.commits) this.#session.commit();
  }

  async #run(
    cursor: Cursor,
    binds: SqlValue[][],
    wanted: number,
    writer: Writer,
    signal: AbortSignal,
  ): Promise<void> {
    let rowCount = 0;
    for (const values of binds.length > 0 ? binds : [[]]) {
      const outcome = await this.#session.execute(cursor.prepared, values, signal);
      rowCount += outcome.rowCount;
      cursor.outs = new Set(outcome.outs.keys());
      cursor.rows = outcome.rows?.[Symbol.iterator]() ?? null;
      cursor.fetched = 0;
      if (cursor.prepared.kind === 'plsql') this.#writeOuts(cursor, outcome.outs, writer);
    }
    if (cursor.rows !== null) return this.#fetch(cursor, wanted, writer);
    writeEnd(writer, { cursor: cursor.id, rowCount, inTransaction: this.#session.inTransaction });
  }

  #writeOuts({ bindInfos }: Cursor, outs: ReadonlyMap<number, SqlValue>, writer: Writer): void {
    if (outs.size === 0) return;
    const directions = bindInfos.map((_, index) =>
      outs.has(index) ? bindDirections.out : bindDirections.in,
    );
    writeBindDirections(writer, directions);
    writer.u8(messageType.rowData);
    for (const [index, info] of bindInfos.entries()) {
      if (!outs.has(index)) continue;
      const value = convertOut(outs.get(index) ?? null, outBindType(info));
      if (value === null) writer.u8(0);
      else writer.bytes(valueBytes(value, outBindType(info)));
      writer.sb(0);
    }
  }

  #fetch(cursor: Cursor, wanted: number, writer: Writer): void {
    const { rows, prepared, longTexts } = cursor;
    if (rows === null) throw new OraError(1002, 'fetch out of sequence');
    const inTransaction = this.#session.inTransaction;
    let ended = false;
    if (wanted > 0) writeRowHeader(writer);
    for (let left = wanted; left > 0; left -= 1) {
      const next = rows.next();
      ended = next.done === true;
      if (next.done === true) break;
      cursor.fetched += 1;
      writeRow(writer, prepared.columns, this.#lobs.keep(next.value, prepared.columns, longTexts), longTexts);
    }
    const error = ended ? new OraError(noDataFound, 'no data found') : null;
    writeEnd(writer, { error, cursor: cursor.id, rowCount: cursor.fetched, inTransaction });
  }
}

/** The server turns a number into text where the client has bound text. */
function convertOut(value: SqlValue, type: ColumnType): SqlValue {
  const isNumber = typeof value === 'bigint' || typeof value === 'number';
  return isNumber && type.kind === 'VARCHAR2' ? String(value) : value;
}
