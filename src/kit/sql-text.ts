import { ClonaError } from '../errors.ts';
import { splitSql } from './split-sql.ts';

const transactionControl =
  /^(?:begin|start\s+transaction|commit|end|rollback(?!\s+(?:work\s+|transaction\s+)?to\b)|abort|prepare\s+transaction)\b/i;
const needsNoTransaction =
  /^(?:create\s+(?:unique\s+)?index\s+concurrently|drop\s+index\s+concurrently|reindex\b.*\bconcurrently|vacuum|create\s+database|drop\s+database|alter\s+system|create\s+tablespace|drop\s+tablespace)\b/is;

export interface SqlTextProblem {
  line: number | null;
  message: string;
}

/** What can be seen to fail in a SQL step before a server is asked. */
export function checkSqlText(text: string, transaction: boolean): SqlTextProblem[] {
  if (text.includes('\uFFFD')) return [{ line: null, message: 'is not valid UTF-8' }];
  let split: ReturnType<typeof splitSql>;
  try {
    split = splitSql(text);
  } catch (error) {
    if (!(error instanceof ClonaError)) throw error;
    const line = error.details?.['line'];
    return [{ line: typeof line === 'number' ? line : null, message: error.message }];
  }
  const problems: SqlTextProblem[] = [];
  if (split.statements.length === 0) problems.push({ line: null, message: 'holds no statement' });
  for (const { text, line } of split.statements) {
    const message = explain(text, transaction);
    if (message !== undefined) problems.push({ line, message });
  }
  return problems;
}

function explain(statement: string, transaction: boolean): string | undefined {
  if (statement.startsWith('\\')) {
    return `"${statement.split(/\s/)[0]}" is a command of psql, not SQL: use a run step for what needs psql`;
  }
  if (/^copy\b[\s\S]*\bfrom\s+stdin\b/i.test(statement))
    return 'COPY FROM stdin has no data here: use INSERT';
  if (transaction && transactionControl.test(statement)) {
    return 'the step is one transaction already: leave this out, or say transaction: false';
  }
  if (transaction && needsNoTransaction.test(statement)) {
    return 'cannot run inside a transaction: say transaction: false for this step';
  }
  return undefined;
}
