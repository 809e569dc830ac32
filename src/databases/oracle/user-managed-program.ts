import { ClonaError } from '../../errors.ts';
import type { PlanAnswer } from '../../recovery/answer.ts';
import { recoverUntilCancel, sqlPlus, type MountedFacts } from './restore-program.ts';
import { joinGuest, quoteName, quoteSqlText } from './rman-text.ts';
import type { RestoreTarget } from './restore-target.ts';

/** Files of a hot or cold backup, already copied to the clone: production's name and the clone's. */
export interface CopiedFile {
  production: string;
  clone: string;
}

/** As the clone's LOG_ARCHIVE_FORMAT (%t_%s_%r.arc) names it: recovery asks for exactly this file in its log source. */
export function archivedLogName(thread: number, sequence: number, resetlogsId: string): string {
  return `${thread}_${sequence}_${resetlogsId}.arc`;
}

/**
 * Recovery without RMAN, for backups made by the operating system: SQL*Plus names the copied files, applies the logs that lie
 * in `logDir` under `archivedLogName` (null: under the names that the control file knows, cataloged), and opens. UNTIL CHANGE is exclusive. The files are copies: END BACKUP is never used
 * on them, it would leave fractured blocks (R8).
 */
export function writeUserManagedRecovery(
  plan: PlanAnswer,
  files: readonly CopiedFile[],
  mounted: MountedFacts,
  target: RestoreTarget,
  logDir: string | null,
): string {
  if (!plan.reachable || plan.redoTo === null) {
    throw new ClonaError('targetUnreachable', 'there is no way to the target: nothing is recovered');
  }
  const rename = (from: string, to: string): string =>
    `ALTER DATABASE RENAME FILE ${quoteSqlText(from, 'a file of production')} TO ${quoteSqlText(to, 'a file of the clone')};`;
  const needsRedo = plan.redoFrom !== plan.redoTo;
  return sqlPlus([
    ...(mounted.changeTracking ? ['ALTER DATABASE DISABLE BLOCK CHANGE TRACKING;'] : []),
    ...mounted.restorePoints.map((name) => `DROP RESTORE POINT ${quoteName(name, 'a restore point')};`),
    ...(mounted.flashback ? ['ALTER DATABASE FLASHBACK OFF;'] : []),
    ...files.map(({ production, clone }) => rename(production, clone)),
    ...mounted.logMembers.map((member, index) =>
      rename(member, joinGuest(target.platform, target.dataDir, `redo_${index + 1}.log`)),
    ),
    'SET AUTORECOVERY ON',
    ...(logDir === null ? [] : [`SET LOGSOURCE ${quoteSqlText(logDir, 'the folder of the logs')}`]),
    ...(needsRedo
      ? [`RECOVER DATABASE USING BACKUP CONTROLFILE UNTIL CHANGE ${plan.redoTo}`]
      : recoverUntilCancel('USING BACKUP CONTROLFILE ')),
    'ALTER DATABASE OPEN RESETLOGS;',
  ]);
}
