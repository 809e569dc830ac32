import { ClonaError } from '../../../errors.ts';
import type { Guest } from '../../../guest/guest.ts';
import { withProgress, type OnProgress } from '../../../progress.ts';
import { judgeJobLog } from '../../../proof/job-log.ts';
import { joinGuest } from '../rman-text.ts';
import type { ImportJob } from './job-text.ts';
import { impRun, type ToolLogon } from './parameter-file.ts';
import { readJobLog, type ReadLog } from './read-dumps.ts';

/** The machine of the server that imports, with the programs of its ORACLE_HOME. */
export interface OriginalTool {
  guest: Guest;
  home: string;
  instanceName: string;
  logon: ToolLogon;
}

/**
 * Imports a dump of the original exp with imp on the machine: Data Pump cannot read it (ORA-39143). Its parameters go through a file
 * that only its owner may read, a password through stdin; imp has no REMAP_TABLESPACE: tables go where the copy's user has its quota.
 */
export async function runOriginalImport(options: {
  tool: OriginalTool;
  job: ImportJob;
  folder: string;
  signal: AbortSignal;
  onProgress: OnProgress;
}): Promise<ReadLog> {
  const { tool, job, folder, signal, onProgress } = options;
  const { guest, home, instanceName, logon } = tool;
  const at = (name: string): string => joinGuest(guest.platform, folder, name);
  const logPath = at(job.logFile);
  const parameterPath = at(`${job.name.toLowerCase()}.par`);
  const files = job.dumpFiles.map(at);
  const { argv, parameters, stdin } = impRun({ pairs: job.pairs, files, logPath }, logon, parameterPath);
  await guest.writeFile(parameterPath, parameters, 0o600, signal);
  const bin = joinGuest(guest.platform, home, 'bin');
  const program = joinGuest(guest.platform, bin, guest.platform === 'windows' ? 'imp.exe' : 'imp');
  const { stdout, stderr, exitCode } = await withProgress(onProgress, `import ${job.name} by imp`, async () =>
    guest.run([program, ...argv.slice(1)], {
      signal,
      stdin,
      env: { ORACLE_HOME: home, ORACLE_SID: instanceName, NLS_LANG: 'AMERICAN_AMERICA.AL32UTF8' },
    }),
  );
  if (exitCode === 127) {
    throw new ClonaError('guestFailed', `there is no imp in ${home}`, {
      hint: 'the original import is part of the server; is it the right ORACLE_HOME?',
    });
  }
  try {
    return await readJobLog(guest, logPath, signal);
  } catch {
    signal.throwIfAborted();
    // Refused before it wrote a log: what it said on the screen is all there is.
    const text = `${stdout}${stderr}`;
    return { path: logPath, text, judgement: judgeJobLog(text) };
  }
}
