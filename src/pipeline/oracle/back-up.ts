import { proveByValidate } from '../../databases/oracle/prove.ts';
import { rememberGrade } from '../../databases/oracle/site-catalog.ts';
import { endLeftBackupMode } from '../../databases/oracle/cure-left.ts';
import { keepFiles } from '../../databases/oracle/keep-files.ts';
import { takeRmanBackup } from '../../databases/oracle/take-backup.ts';
import { ClonaError } from '../../errors.ts';
import { withProgress } from '../../progress.ts';
import type { Backup, Catalog } from '../../recovery/catalog.ts';
import { planRecovery } from '../../recovery/plan.ts';
import type { Site } from '../../site/site.ts';
import type { MachineAccess } from '../machine/access.ts';
import type { BackupTaken, Step } from '../operations.ts';
import { keepSettingsOf } from '../oracle-keep.ts';
import { toJson } from '../step.ts';
import { removeOldWork } from './left-programs.ts';
import { backupTag } from './names.ts';
import { placesOf, readAndRemember } from './places.ts';
import { addressOf, withTools } from './sessions.ts';

/** Notes of the step: an attempt that began, and one whose log was judged whole. Only the second is a backup (R15). */
type Attempt = { attempt: number; judged: boolean; seconds: number };

/**
 * RMAN on LIVE's own machine: database, archived logs, control file; its log judged, the control file remembered in archive and
 * mirror, and the backup read again by VALIDATE. A repeated step finds the backup that it took; one that was killed before its
 * log was judged takes another, under another tag: nobody can say any more whether the first was whole.
 */
export async function backUpLive(site: Site, live: MachineAccess, step: Step): Promise<BackupTaken> {
  const taken = await takeOrFind(site, live, step);
  const { catalog } = await readAndRemember(site, live, step.signal);
  const tag = backupTag(step.key, taken.attempt);
  const backup = catalog.backups.findLast(({ label }) => label === tag || label.startsWith(`${tag}@`));
  if (backup === undefined || backup.state !== 'available') {
    throw new ClonaError('databaseFailed', `the control file shows no whole backup ${tag} afterwards`, {
      hint: 'clona catalog says what is missing in it',
    });
  }
  await keepBeside(site, live, backup.label, step);
  const grade = await withProgress(step.onProgress, 'read the backup again', async () =>
    withTools(site, live, `${step.key}/validate`, step.signal, async (tools) => {
      const proof = await proveByValidate(tools, catalog, backup.label);
      if (proof.passed) return proof.grade;
      throw new ClonaError(
        'proofFailed',
        `backup ${backup.label} cannot be read: ${proof.reasons.join('; ')}`,
      );
    }),
  );
  await rememberGrade(placesOf(site), backup.label, Math.max(grade, backup.grade ?? 0), step.signal);
  return describe(backup, grade, taken.seconds);
}

async function takeOrFind(site: Site, live: MachineAccess, step: Step): Promise<Attempt> {
  // Written below.
  const notes = (await step.notes.read()) as unknown as Attempt[];
  const judged = notes.find((note) => note.judged);
  if (judged !== undefined) return judged;
  const attempt = notes.length + 1;
  await step.notes.write(toJson({ attempt, judged: false, seconds: 0 } satisfies Attempt));
  const started = performance.now();
  await withProgress(step.onProgress, 'back up with RMAN', async () =>
    withTools(site, live, `${step.key}/backup`, step.signal, async (tools) => {
      for (const detail of await endLeftBackupMode(addressOf(live), tools, site.archive.location))
        step.onProgress({ step: 'back up with RMAN', state: 'running', detail });
      await removeOldWork(tools);
      const tag = backupTag(step.key, attempt);
      await takeRmanBackup(tools, { kind: 'managed', level: null, tag, channels: 1, compressed: true });
    }),
  );
  const done: Attempt = { attempt, judged: true, seconds: (performance.now() - started) / 1000 };
  await step.notes.write(toJson(done));
  return done;
}

/** What RMAN's pieces do not hold: parameters, password file, wallet, keystore, where the site wants them kept. */
async function keepBeside(site: Site, live: MachineAccess, label: string, step: Step): Promise<void> {
  const keep = keepSettingsOf(site);
  if (keep === undefined) return;
  await withProgress(step.onProgress, 'keep parameters, passwords and keys', async () =>
    withTools(site, live, `${step.key}/keep`, step.signal, async (tools) =>
      keepFiles(tools, keep, label, () => new Date()),
    ),
  );
}

function describe({ label, finishedAt, bytes }: Backup, grade: number, seconds: number): BackupTaken {
  return { label, finishedAt: finishedAt ?? '', bytes: bytes ?? 0, grade, seconds };
}

/** Can what is archived alone bring LIVE back to the end of its archived log? */
export async function isArchiveWhole(site: Site, live: MachineAccess, signal: AbortSignal): Promise<boolean> {
  const { catalog } = await readAndRemember(site, live, signal);
  return reachesNow(catalog);
}

/**
 * "latest" ends before a gap, and counts as reached. Right after a revert that is so: what LIVE wrote between its last archived log
 * and the new incarnation is in no archive, so no backup of before leads into it. Pure.
 */
export function reachesNow(catalog: Catalog): boolean {
  const { incarnations, currentIncarnation, logs } = catalog;
  const plan = planRecovery(catalog, { until: { kind: 'latest' }, lost: 'online-log' });
  const ends = [
    ...incarnations.flatMap(({ id, branchPosition }) => (id === currentIncarnation ? [branchPosition] : [])),
    ...logs.flatMap(({ incarnation, next }) => (incarnation === currentIncarnation ? [next] : [])),
  ];
  return plan.reachable && plan.redoTo !== null && ends.every((end) => end <= plan.redoTo!); // looked at before
}
