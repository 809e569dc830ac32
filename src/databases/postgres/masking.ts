import { createHash } from 'node:crypto';
import { ClonaError } from '../../errors.ts';
import { splitSql } from '../../kit/split-sql.ts';
import { withProgress, type OnProgress } from '../../progress.ts';
import type { DatabaseAddress } from '../database.ts';
import { connect, databaseError, type Connection } from './connect.ts';

/** A file of the site's masking SQL. */
export interface MaskingFile {
  name: string;
  sql: string;
}

/** What was masked: which statement, how many rows. Never a value. */
export interface MaskedStatement {
  file: string;
  line: number;
  /** The comment before it, or command and table: "UPDATE erp.person". */
  statement: string;
  rows: number;
}

export interface MaskReport {
  /** null: the site masks nothing. */
  maskedAt: string | null;
  files: { name: string; sha256: string }[];
  statements: MaskedStatement[];
}

export interface MaskOptions {
  /** The restored database, fenced and proven, before people get to it (R23). */
  address: DatabaseAddress;
  files: readonly MaskingFile[];
  now: () => Date;
  signal: AbortSignal;
  onProgress: OnProgress;
}

const transactionWords =
  /^\s*(?:begin|start\s+transaction|commit|end|rollback|abort|prepare\s+transaction)\b/i;

/**
 * Runs the site's masking (R23), all files in one transaction: after it either everything is masked or nothing, and a
 * failure says which statement without a word of the data. Triggers of the site fire as in daily work.
 */
export async function maskDatabase(options: MaskOptions): Promise<MaskReport> {
  const { address, files, now, signal, onProgress } = options;
  if (files.length === 0) return { maskedAt: null, files: [], statements: [] };
  const statements: MaskedStatement[] = [];
  await using session = await connect(address, signal, { applicationName: 'clona masking' });
  await session.query('BEGIN');
  for (const file of files) {
    await withProgress(
      onProgress,
      `mask: ${file.name}`,
      async () => {
        statements.push(...(await maskFile(session, file, signal)));
      },
      () => `${statements.filter(({ file: name }) => name === file.name).length} statements`,
    );
  }
  await session.query('COMMIT');
  return { maskedAt: now().toISOString(), files: hashFiles(files), statements };
}

/** Which text it was, for evidence. */
export function hashFiles(files: readonly MaskingFile[]): MaskReport['files'] {
  return files.map(({ name, sql }) => ({ name, sha256: createHash('sha256').update(sql).digest('hex') }));
}

async function maskFile(
  session: Connection,
  file: MaskingFile,
  signal: AbortSignal,
): Promise<MaskedStatement[]> {
  const done: MaskedStatement[] = [];
  for (const { text, line, comments } of splitSql(file.sql).statements) {
    const statement = nameStatement(text, comments.at(-1)?.text);
    if (transactionWords.test(text)) {
      throw new ClonaError(
        'siteInvalid',
        `${file.name}:${line}: masking runs in one transaction of its own`,
        {
          hint: 'take BEGIN, COMMIT and ROLLBACK out of the file',
        },
      );
    }
    try {
      const { rowCount } = await session.client.query(text);
      done.push({ file: file.name, line, statement, rows: rowCount ?? 0 });
    } catch (error) {
      throw withoutData(error, `${file.name}:${line}: ${statement}`, signal);
    }
  }
  return done;
}

/** The server's words may quote the data that is to be hidden: only the kind of the error and its place are kept. */
function withoutData(thrown: unknown, where: string, signal: AbortSignal): ClonaError {
  const error = databaseError(thrown, undefined, signal);
  const sqlState = error.details?.['sqlState'];
  if (typeof sqlState !== 'string') return error;
  return new ClonaError('databaseFailed', `masking failed with SQLSTATE ${sqlState} at ${where}`, {
    hint: "nothing is masked and nobody is let in; the server's words are in its own log",
    details: { sqlState },
  });
}

/** What a statement is called in evidence: its comment, else its command and table. */
export function nameStatement(text: string, comment: string | undefined): string {
  const given = comment?.trim();
  if (given !== undefined && given !== '') return given.slice(0, 200);
  const found =
    /^\s*(update(?:\s+only)?|delete\s+from(?:\s+only)?|insert\s+into|merge\s+into|truncate(?:\s+table)?|alter\s+\w+|drop\s+\w+|create\s+\w+|call)\s+((?:"[^"]+"|[\w$]+)(?:\.(?:"[^"]+"|[\w$]+))*)/i.exec(
      text,
    );
  if (found === null) return (/^\s*(\w+)/.exec(text)?.[1] ?? 'statement').toUpperCase();
  return `${(found[1] ?? '').toUpperCase().replaceAll(/\s+/g, ' ')} ${found[2] ?? ''}`;
}
