import { randomBytes } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { connectOracle } from '../../databases/oracle/connect.ts';
import { findNewlyInvalid, readInvalidObjects, recompileInvalid } from '../../databases/oracle/recompile.ts';
import { judgeSqlPlus, sqlPlusInput, type SqlPlusLogon } from '../../databases/oracle/sqlplus-kit.ts';
import type { DatabaseAddress } from '../../databases/database.ts';
import { ClonaError } from '../../errors.ts';
import type { KitStep } from '../manifest.ts';
import { endsItself } from '../sqlplus-text.ts';
import { joinGuest, kitFolder, type GuestWork } from './guest-step.ts';

/** Where the scripts of a kit run: SQL*Plus on the machine itself, and the driver beside it for what it left behind. */
export interface SqlPlusPlace {
  logon: SqlPlusLogon;
  /** ORACLE_HOME and ORACLE_SID of the machine. */
  home: string;
  instanceName: string;
  /** For invalid objects before and after. */
  address: DatabaseAddress;
}

type SqlPlusStep = Extract<KitStep, { kind: 'sqlplus' }>;

/**
 * Runs one script by SQL*Plus (or SQLcl) on the machine, recompiles what it left invalid, and fails where an object is invalid
 * now that was valid before: SQL*Plus itself calls "created with compilation errors" a success.
 */
export async function runSqlPlusStep(step: SqlPlusStep, work: GuestWork, place: SqlPlusPlace): Promise<void> {
  const { output, signal } = work;
  await using session = await connectOracle(place.address, signal, { module: 'clona kit' });
  const before = await readInvalidObjects(session);
  await runScript(step, work, place);
  const left = await readInvalidObjects(session);
  await recompileInvalid(session, findNewlyInvalid(before, left));
  const after = await readInvalidObjects(session);
  const broken = findNewlyInvalid(before, after);
  const cured = before.filter((one) => !after.includes(one));
  if (cured.length > 0) output.line(`valid again: ${cured.join(', ')}`);
  if (broken.length === 0) return;
  output.line(`invalid now, valid before: ${broken.join(', ')}`);
  const some = broken.slice(0, 5).join(', ');
  throw new ClonaError('kitStepFailed', `${step.file} leaves ${broken.length} objects invalid: ${some}`, {
    details: { invalid: broken },
  });
}

async function runScript(step: SqlPlusStep, work: GuestWork, place: SqlPlusPlace): Promise<void> {
  const { guest, output, signal, env } = work;
  const token = randomBytes(8).toString('hex');
  const folder = kitFolder(work);
  const path = joinGuest(folder, step.file);
  const program = joinGuest(place.home, step.client === 'sqlcl' ? 'sqlcl/bin/sql' : 'bin/sqlplus');
  const stdin = sqlPlusInput({ path, logon: place.logon, token, define: step.define });
  let result: Awaited<ReturnType<typeof guest.run>>;
  try {
    result = await guest.run([program, '-S', '/nolog'], {
      signal,
      timeoutMs: step.timeoutMs,
      // @@ and @name look here, and so do spool files.
      cwd: path.slice(0, path.lastIndexOf('/')),
      env: {
        ...env,
        ORACLE_HOME: place.home,
        ORACLE_SID: place.instanceName,
        NLS_LANG: 'AMERICAN_AMERICA.AL32UTF8',
      },
      stdin,
    });
  } catch (error) {
    if (!(error instanceof ClonaError) || error.details?.['timeoutMs'] === undefined) throw error;
    throw new ClonaError('kitStepFailed', `${step.file} did not end within ${step.timeoutMs / 1000} s`, {
      cause: error,
    });
  }
  const said = `${result.stdout}${result.stderr}`;
  output.add(said.replaceAll(/^.*CLONA-[0-9a-f]{16}-(?:BEGIN|END).*\n?/gm, ''));
  const { ok, failure, compilationWarnings } = judgeSqlPlus(said, result.exitCode, token, {
    tolerate: step.tolerate,
    endsItself: endsItself(await readFile(join(work.kit.directory, step.file), 'utf8')),
  });
  if (!ok) throw new ClonaError('kitStepFailed', `${step.file}: ${failure}`);
  if (compilationWarnings > 0)
    output.line(`${compilationWarnings} objects were created with compilation errors`);
}
