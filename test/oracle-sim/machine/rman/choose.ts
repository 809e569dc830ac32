import type { ArchivedLog, BackupSet, ControlFile } from '../../instance/physical/types.ts';
import { pathOf } from '../../instance/physical/recover.ts';
import { RmanError, type RmanUntil } from './session.ts';

/** The SCN that an UNTIL means, exclusive; null: none, or a time. */
export function untilScn(control: ControlFile, until: RmanUntil | null): bigint | null {
  if (until === null || until.kind === 'time') return null;
  if (until.kind === 'scn') return until.scn;
  const { resetlogsScn } = control.incarnations.find(({ number }) => number === control.current)!;
  const log = control.archived.find(
    ({ sequence, thread, resetlogsScn: own }) =>
      sequence === until.sequence && thread === until.thread && own === resetlogsScn,
  );
  if (log === undefined) throw new RmanError(20206, 'log sequence not found in the repository');
  return log.firstScn;
}

/** Up to where the redo may be used, as a backup's checkpoint is compared. */
export function isBefore(control: ControlFile, until: RmanUntil | null, scn: bigint, at: number): boolean {
  if (until?.kind === 'time') return at <= until.at;
  const wanted = untilScn(control, until);
  return wanted === null || scn <= wanted;
}

export interface Chosen {
  set: BackupSet;
  file: BackupSet['files'][number];
}

function backupsOf({ sets }: ControlFile, file: number, tag: string | null): Chosen[] {
  return sets
    .filter(({ status, tag: own }) => status === 'A' && (tag === null || own === tag))
    .flatMap((set) => set.files.filter((one) => one.file === file).map((one) => ({ set, file: one })));
}

/** The level 1 that takes a restored file furthest, without going beyond the target; null: none fits on it. */
export function chooseIncrement(
  control: ControlFile,
  header: { file: number; checkpointScn: bigint; resetlogsScn: bigint },
  until: RmanUntil | null,
): Chosen | null {
  const found = backupsOf(control, header.file, null).filter(
    ({ set, file }) =>
      set.type === 'I' &&
      file.resetlogsScn === header.resetlogsScn &&
      file.incrementalFrom <= header.checkpointScn &&
      file.checkpointScn > header.checkpointScn &&
      isBefore(control, until, file.checkpointScn, file.checkpointAt),
  );
  return found.sort((a, b) => (a.file.checkpointScn < b.file.checkpointScn ? 1 : -1))[0] ?? null;
}

/** The newest whole backup of a datafile that lies before the target, on the path of the current incarnation. */
export function chooseForFile(
  control: ControlFile,
  file: number,
  until: RmanUntil | null,
  tag: string | null,
  failed: ReadonlySet<string> = new Set(),
): Chosen | null {
  const path = pathOf(control);
  const found = backupsOf(control, file, tag)
    .filter(({ set }) => set.type === 'D' && !failed.has(set.handle))
    .filter(({ file: { resetlogsScn, resetlogsAt, checkpointScn, checkpointAt } }) => {
      const step = path.find(
        ({ incarnation }) =>
          incarnation.resetlogsScn === resetlogsScn && incarnation.resetlogsAt === resetlogsAt,
      );
      const late = step !== undefined && step.cut !== null && checkpointScn >= step.cut;
      return step !== undefined && !late && isBefore(control, until, checkpointScn, checkpointAt);
    });
  return found.sort((a, b) => (a.file.checkpointScn < b.file.checkpointScn ? 1 : -1))[0] ?? null;
}

export function describeLog({ thread, sequence }: Pick<ArchivedLog, 'thread' | 'sequence'>): string {
  return `thread=${thread} sequence=${sequence}`;
}
