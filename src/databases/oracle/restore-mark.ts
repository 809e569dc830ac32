import { ClonaError } from '../../errors.ts';
import { quotePowerShell } from '../../guest/powershell.ts';
import type { PlanAnswer } from '../../recovery/answer.ts';
import type { OracleTools } from './guest-tools.ts';
import type { RestoreFacts } from './restore-facts.ts';
import type { RestoreTarget } from './restore-target.ts';
import { joinGuest } from './rman-text.ts';

/**
 * How far a restore is. restoring: files, log and OPEN RESETLOGS under production's name; opened: that is done; renaming: nid is
 * at work; renamed: nid is through; restored: open as the clone, restricted; fenced: let go.
 */
export type RestoreStage = 'restoring' | 'opened' | 'renaming' | 'renamed' | 'restored' | 'fenced';

/** What is restored: another one never goes on where this one ended. */
export interface RestoreIdentity {
  dbid: string;
  backup: string;
  incarnation: number;
  until: string;
  name: string;
}

/** In the clone's data folder from before the first byte on: what lies there is half a database until the mark says else. */
export interface RestoreMark extends RestoreIdentity {
  stage: RestoreStage;
  /** Branch position of the incarnation that the restore opened; from `opened` on. */
  branchPosition: string | null;
}

export const markName = 'clona-restore.json';

export function identify(
  { dbid }: RestoreFacts,
  { backup, target, redoTo }: PlanAnswer,
  { databaseName }: RestoreTarget,
): RestoreIdentity {
  return {
    dbid,
    backup: backup ?? '',
    incarnation: target.incarnation,
    until: redoTo?.toString() ?? '',
    name: databaseName.toUpperCase(),
  };
}

/** What is done with a folder in which a restore was begun. */
export type Resumption =
  | { kind: 'begin' }
  /** Nothing of it can be used: the folders are emptied, and all of it is done again. */
  | { kind: 'over'; reason: string }
  | { kind: 'from'; stage: 'opened' | 'renaming' | 'renamed' | 'restored'; reason: string };

/** Pure. Throws `targetOccupied` for a folder whose content is not of this very restore. */
export function decideResumption(
  mark: RestoreMark | null,
  wanted: RestoreIdentity,
  folder: string,
): Resumption {
  if (mark === null) return { kind: 'begin' };
  const { stage } = mark;
  const keys = ['dbid', 'backup', 'incarnation', 'until', 'name'] as const;
  const other = keys.find((key) => mark[key] !== wanted[key]);
  if (other !== undefined) {
    const done = stage === 'fenced' || stage === 'restored' ? 'holds' : 'holds an unfinished restore of';
    throw new ClonaError(
      'targetOccupied',
      `${folder} ${done} ${mark.name} up to ${mark.until} from ${mark.backup}: its ${other} is another one`,
      {
        hint: 'ask for the same target again, name another folder, or remove that clone and empty its folders',
      },
    );
  }
  switch (stage) {
    case 'fenced':
      throw new ClonaError('targetOccupied', `${folder} holds this very clone, fenced and let go`, {
        hint: 'people may be in it: nothing is restored over it; name another folder, or remove that clone first',
      });
    case 'restoring':
      return {
        kind: 'over',
        reason: 'it ended before OPEN RESETLOGS: how far each file came is known to nobody',
      };
    case 'opened':
      return {
        kind: 'from',
        stage,
        reason: 'restored and opened under production’s name; nid is still to come',
      };
    case 'renaming':
      return { kind: 'from', stage, reason: 'it ended while nid was at work' };
    case 'renamed':
      return { kind: 'from', stage, reason: 'nid was through; OPEN RESETLOGS as the clone is still to come' };
    case 'restored':
      return { kind: 'from', stage, reason: 'everything was done but the fence' };
  }
}

export async function readMark({ guest, signal }: OracleTools, dataDir: string): Promise<RestoreMark | null> {
  const path = joinGuest(guest.platform, dataDir, markName);
  const names: string[] = await guest.list(dataDir, signal).catch(() => []);
  signal.throwIfAborted();
  if (!names.includes(markName)) return null;
  const text = (await guest.readFile(path, signal)).toString('utf8');
  try {
    const mark = JSON.parse(text) as RestoreMark;
    if (typeof mark.stage === 'string' && typeof mark.dbid === 'string') return mark;
  } catch {
    // said below
  }
  throw new ClonaError('targetOccupied', `${path} is no mark that clona wrote`, {
    hint: 'what lies in that folder is not known: look at it, then empty it by hand',
  });
}

/** Whole or as it was: the guest writes beside and renames. */
export async function writeMark(
  { guest, signal }: OracleTools,
  dataDir: string,
  mark: RestoreMark,
): Promise<void> {
  const path = joinGuest(guest.platform, dataDir, markName);
  await guest.writeFile(path, `${JSON.stringify(mark)}\n`, 0o600, signal);
}

/** Empties a folder but for the mark, which goes last of all: a kill in between still finds whose it is. */
export async function clearFolder({ guest, signal }: OracleTools, folder: string): Promise<void> {
  const { exitCode, stderr } =
    guest.platform === 'windows'
      ? await guest.runShell(
          `Get-ChildItem -LiteralPath ${quotePowerShell(folder)} -Force -ErrorAction SilentlyContinue | Where-Object { $_.Name -ne '${markName}' } | Remove-Item -Recurse -Force`,
          { signal },
        )
      : await guest.run(['find', folder, '-xdev', '-mindepth', '1', '!', '-name', markName, '-delete'], {
          signal,
        });
  if (exitCode === 0) return;
  throw new ClonaError('targetFailed', `${folder} cannot be emptied: ${stderr.trim().slice(0, 200)}`, {
    hint: 'the restore that was broken off there cannot be done again before it is empty',
  });
}
