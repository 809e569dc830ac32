import type { Command } from '../sql/session.ts';
import type { SqlValue } from '../wire/values.ts';
import { OraError } from '../wire/values.ts';
import type { Block, PlsqlExpression, Statement } from '../plsql/ast.ts';
import { constantNamed, routinesOf } from '../plsql/packages.ts';
import { parseBlock } from '../plsql/parse.ts';
import { BlockRunner } from '../plsql/run.ts';
import { prepareCommand } from './commands.ts';
import type { Session } from './session.ts';

/** Anonymous blocks: parsed, then run. A routine that is not simulated is PLS-00201. */
export function preparePlsql(sql: string, session: Session): Command {
  const { block, binds } = parseBlock(sql);
  const assigned = assignedBinds(block);
  const routine = routinesOf(session);
  return {
    async run(values, signal) {
      if (values.length < binds.length) throw new OraError(1008, 'not all variables bound');
      const named = new Map(binds.map((name, index): [string, SqlValue] => [name, values[index] ?? null]));
      const written = new Map<string, SqlValue>([...assigned].map((name) => [name, null]));
      const host = {
        routine,
        constant: constantNamed,
        executeSql: async (text: string) => {
          if (/^\s*(?:begin|declare)\b/i.test(text)) {
            await preparePlsql(text, session).run([], signal);
            return;
          }
          await prepareCommand(text, session).run([], signal);
        },
      };
      await new BlockRunner(host, { values: named, written }).runBlock(block);
      const outs = new Map(
        [...written].map(([name, value]): [number, SqlValue] => [binds.indexOf(name), value]),
      );
      return { rowCount: 1, outs };
    },
  };
}

/** Binds that a block gives a value to: those the client has declared as OUT. */
function assignedBinds({ body, handler }: Block): Set<string> {
  const found = new Set<string>();
  const walk = (statements: readonly Statement[]): void => {
    for (const statement of statements) {
      if (statement.kind === 'assign') addBind(statement.to, found);
      else if (statement.kind === 'block') for (const name of assignedBinds(statement.block)) found.add(name);
      else if (statement.kind === 'if') for (const branch of statement.branches) walk(branch.body);
      else if (statement.kind === 'while' || statement.kind === 'for') walk(statement.body);
    }
  };
  walk(body);
  walk(handler ?? []);
  return found;
}

function addBind(to: PlsqlExpression, found: Set<string>): void {
  if (to.kind === 'bind') found.add(to.name);
}
