import { connectOracle } from '../../databases/oracle/connect.ts';
import { quoteName } from '../../databases/oracle/rman-text.ts';
import { splitOracleSql } from '../../databases/oracle/split-sql.ts';
import {
  hashFiles,
  nameStatement,
  type MaskedStatement,
  type MaskingFile,
  type MaskReport,
} from '../../databases/postgres/masking.ts';
import { ClonaError, toClonaError } from '../../errors.ts';
import { withProgress } from '../../progress.ts';
import type { Site } from '../../site/site.ts';
import type { MachineAccess } from '../machine/access.ts';
import { readMaskingFiles } from '../machine/masking-files.ts';
import type { Step } from '../operations.ts';
import { withCloneAdmin } from './clone-admin.ts';
import { withTools } from './sessions.ts';
import { applicationSchemas } from './settings.ts';

/**
 * The site's masking (R23), all files in one transaction, so that a failure leaves nothing masked; DDL, which commits by itself in
 * Oracle, is refused. It may be repeated. A failure names the statement and the code, without a word of the data.
 */
export async function maskMachine(site: Site, machine: MachineAccess, step: Step): Promise<MaskReport> {
  const { signal, onProgress } = step;
  const files = await readMaskingFiles(site);
  if (files.length === 0) return { maskedAt: null, files: [], statements: [] };
  for (const file of files) refuseDdl(file);
  const statements = await withTools(site, machine, step.key, signal, async (tools) =>
    withCloneAdmin(machine, tools, async (address) => {
      await using session = await connectOracle(address, signal, { module: 'clona masking' });
      // As in a kit: what names no owner is the application's.
      const [schema = ''] = applicationSchemas(site);
      await session.execute(`ALTER SESSION SET CURRENT_SCHEMA = ${quoteName(schema, 'the schema')}`);
      const done: MaskedStatement[] = [];
      for (const file of files) {
        await withProgress(onProgress, `mask: ${file.name}`, async () => {
          for (const { text, line, comment } of splitOracleSql(file.sql)) {
            const statement = nameStatement(text, comment);
            try {
              const { rowsAffected = 0 } = await session.driver.execute(text);
              done.push({ file: file.name, line, statement, rows: rowsAffected });
            } catch (error) {
              throw withoutData(error, `${file.name}:${line}: ${statement}`, signal);
            }
          }
        });
      }
      await session.driver.commit();
      return done;
    }),
  );
  return { maskedAt: new Date().toISOString(), files: hashFiles(files), statements };
}

const ends =
  /^\s*(?:commit|rollback|create|alter|drop|truncate|grant|revoke|rename|comment|analyze|purge)\b/i;

function refuseDdl({ name, sql }: MaskingFile): void {
  const found = splitOracleSql(sql).find(({ text }) => ends.test(text));
  if (found === undefined) return;
  throw new ClonaError('siteInvalid', `${name}:${found.line}: masking runs in one transaction of its own`, {
    hint: 'take COMMIT, ROLLBACK and DDL out of the file; TRUNCATE is DELETE',
  });
}

/** The server's words may quote the data that is to be hidden (ORA-00001 does since 23ai): only the code and the place are kept. */
function withoutData(thrown: unknown, where: string, signal: AbortSignal): ClonaError {
  signal.throwIfAborted();
  const code = /\bORA-\d{5}\b/.exec(thrown instanceof Error ? thrown.message : '')?.[0];
  if (code === undefined) return toClonaError(thrown);
  return new ClonaError('databaseFailed', `masking failed with ${code} at ${where}`, {
    hint: 'nothing is masked and nobody is let in',
    details: { code },
  });
}
