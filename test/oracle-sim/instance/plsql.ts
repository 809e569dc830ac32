import { OraError } from '../wire/values.ts';
import type { Command } from '../sql/session.ts';
import type { Session } from './session.ts';

/** Blocks are not run: only whole texts that are known are, each with its effect. Everything else is PLS-00201. */
export function preparePlsql(sql: string, _session: Session): Command {
  const called = /\b([A-Z_$#]+\.[A-Z_$#]+)\s*\(/i.exec(sql)?.[1]?.toUpperCase();
  if (/^\s*BEGIN\s+NULL\s*;\s*END\s*;?\s*$/i.test(sql)) return { run: () => ({ rowCount: 0 }) };
  throw new OraError(
    6550,
    `line 1, column 7:\nPLS-00201: identifier '${called ?? 'block'}' must be declared\nORA-06550: line 1, column 7:\nPL/SQL: Statement ignored`,
    6,
  );
}
