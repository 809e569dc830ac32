import { ClonaError } from '../../errors.ts';
import { makeFolder, runSqlPlus } from '../../databases/oracle/guest-tools.ts';
import type { Guest } from '../../guest/guest.ts';
import { quotePowerShell } from '../../guest/powershell.ts';
import { quoteSh } from '../../guest/quote.ts';
import type { MachineFacts } from '../../machines/machines.ts';
import type { Site } from '../../site/site.ts';
import { liveInstance, oracleSection, restoreTarget, toolsOn } from './settings.ts';

/**
 * A full clone's disks hold production's database, which its own services may have started under production's name. Both
 * instances are stopped and the folders of the restore emptied before the first byte of the archive comes: what is proven
 * then is the archive alone.
 */
export async function clearOracle(
  site: Site,
  facts: MachineFacts,
  guest: Guest,
  key: string,
  signal: AbortSignal,
): Promise<void> {
  if (facts.role !== 'staging') throw new ClonaError('internal', `${facts.name} is not a staging machine`);
  const { staging } = oracleSection(site);
  const target = restoreTarget(site, facts);
  const tools = toolsOn(site, facts, guest, `clear-${key}`, signal);
  for (const folder of [tools.workDir, target.dataDir, target.recoveryDir])
    await makeFolder(guest, folder, signal);
  for (const instanceName of new Set([liveInstance(site), target.instanceName])) {
    const { text } = await runSqlPlus({ ...tools, instanceName }, `stop-${instanceName}`, stopScript);
    // Told by itself: an instance that cannot be asked may still be writing.
    if (!/^\s*(?:ERROR:?\s*)?ORA-01034/m.test(text)) throw stillThere(facts.name, instanceName, text);
  }
  await emptyFolders(guest, [target.dataDir, target.recoveryDir, ...staging.clear], signal);
}

/** ORA-01034 is the answer that is wanted: ORACLE not available. */
const stopScript = `SET ECHO OFF
CONNECT / AS SYSDBA
SHUTDOWN ABORT
CONNECT / AS SYSDBA
SELECT STATUS FROM V$INSTANCE;
EXIT 0
`;

async function emptyFolders(guest: Guest, folders: readonly string[], signal: AbortSignal): Promise<void> {
  for (const folder of folders) requireDeep(guest.platform, folder);
  const script =
    guest.platform === 'windows'
      ? folders
          .map(
            (folder) =>
              `Get-ChildItem -Force -LiteralPath ${quotePowerShell(folder)} | Remove-Item -Recurse -Force`,
          )
          .join('\n')
      : folders.map((folder) => `find ${quoteSh(folder)} -mindepth 1 -xdev -delete`).join(' && ');
  await requireDone(guest, script, "the clone's copy of the database cannot be removed", signal);
}

/** A folder that is emptied lies below another one: / or D:\\ in a site file is a slip. */
function requireDeep(platform: Guest['platform'], folder: string): void {
  const parts = folder.split(platform === 'windows' ? /[\\/]+/ : /\/+/).filter((part) => part !== '');
  if (parts.length >= 2 && !parts.includes('..')) return;
  throw new ClonaError('siteInvalid', `${folder} is not emptied: it lies too near the root`, {
    hint: 'database.oracle.staging: dataDir, recoveryDir and clear are folders of their own',
  });
}

async function requireDone(guest: Guest, script: string, what: string, signal: AbortSignal): Promise<void> {
  const { exitCode, stderr } = await guest.runShell(script, { signal });
  if (exitCode === 0) return;
  throw new ClonaError('guestFailed', what, {
    cause: new Error(stderr.trim().slice(-500)),
    hint: 'the SSH user must be the one that the database server runs as',
  });
}

function stillThere(machine: string, instance: string, text: string): ClonaError {
  return new ClonaError('databaseFailed', `the instance ${instance} on ${machine} does not stop`, {
    cause: new Error(text.trim().slice(-500)),
    hint: 'the user of guest must be in the group dba there',
  });
}
