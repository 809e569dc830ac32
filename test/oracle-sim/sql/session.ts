import type { BackendSession, Outcome, Prepared } from '../wire/backend.ts';
import { OraError, type SqlValue } from '../wire/values.ts';
import type { EvaluationContext } from './zones.ts';
import { parseSelect } from './parse-query.ts';
import { compileSelect } from './query.ts';
import type { Dictionary, View } from './scope.ts';

/** What stands behind a session: dictionary, commands, PL/SQL. */
export interface SessionHost {
  dictionary: Dictionary;
  context: EvaluationContext;
  /** Raises what tests have asked for, before the statement is looked at. */
  beforeStatement: (sql: string) => void;
  /** Parses a statement that is no query; what it does is done by `run`. */
  prepareCommand(sql: string): Command;
  preparePlsql(sql: string): Command;
  readonly inTransaction: boolean;
  commit(): void;
  rollback(): void;
  close(): void;
}

/** Answers how many rows it touched, and the values of OUT binds by their position. */
export interface Command {
  run(
    binds: readonly SqlValue[],
    signal: AbortSignal,
  ):
    | { rowCount: number; outs?: ReadonlyMap<number, SqlValue> }
    | Promise<{ rowCount: number; outs?: ReadonlyMap<number, SqlValue> }>;
}

interface PreparedQuery extends Prepared {
  view: View;
  bindCount: number;
}

interface PreparedCommand extends Prepared {
  command: Command;
}

const leadingSpace = /^(?:\s|--[^\n]*\n|\/\*[\s\S]*?\*\/|\()*/;

export function openSqlSession(id: number, serial: number, host: SessionHost): BackendSession {
  const prepared = new WeakMap<Prepared, PreparedQuery | PreparedCommand>();
  const keep = <T extends PreparedQuery | PreparedCommand>(one: T): T => {
    prepared.set(one, one);
    return one;
  };
  return {
    id,
    serial,
    get inTransaction() {
      return host.inTransaction;
    },
    prepare(sql) {
      host.beforeStatement(sql);
      const keyword = /^[A-Za-z]+/.exec(sql.slice(leadingSpace.exec(sql)![0].length))?.[0].toUpperCase();
      if (keyword === 'SELECT' || keyword === 'WITH') return keep(prepareQuery(sql, host));
      if (keyword === 'BEGIN' || keyword === 'DECLARE' || keyword === 'CALL') {
        return keep({ kind: 'plsql', columns: [], command: host.preparePlsql(sql) });
      }
      if (keyword === undefined) throw new OraError(900, 'invalid SQL statement', 0);
      return keep({ kind: 'other', columns: [], command: host.prepareCommand(sql) });
    },
    async execute(one, binds, signal) {
      const found = prepared.get(one);
      if (found === undefined) throw new OraError(1001, 'invalid cursor');
      return 'view' in found ? query(found, binds, host) : command(found, binds, signal);
    },
    commit: () => host.commit(),
    rollback: () => host.rollback(),
    close: () => host.close(),
  };
}

function prepareQuery(sql: string, host: SessionHost): PreparedQuery {
  const { query, binds } = parseSelect(sql);
  const view = compileSelect(query, host.dictionary);
  return { kind: 'query', columns: view.columns, view, bindCount: binds };
}

function query(
  { view, bindCount }: PreparedQuery,
  binds: readonly SqlValue[],
  { context }: SessionHost,
): Outcome {
  if (binds.length < bindCount) throw new OraError(1008, 'not all variables bound');
  const rows = view.rows({ context, binds, outer: [], group: null, rowNumber: 0 });
  return { rows, rowCount: 0, outs: new Map() };
}

async function command(
  { command }: PreparedCommand,
  binds: readonly SqlValue[],
  signal: AbortSignal,
): Promise<Outcome> {
  const { rowCount, outs } = await command.run(binds, signal);
  return { rows: null, rowCount, outs: outs ?? new Map() };
}
