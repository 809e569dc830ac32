import { OraError } from '../../wire/values.ts';
import { currentIncarnation } from './database.ts';
import type { ControlDatafile, ControlFile, DataFile } from './types.ts';

export function withName(code: number, text: string, known: ControlDatafile): OraError {
  return new OraError(code, `${text}\nORA-01110: data file ${known.file}: '${known.name}'`);
}

/** Headers against the control file, in the order in which the server looks. */
export function checkHeaders(control: ControlFile, files: ReadonlyMap<number, DataFile>): void {
  const incarnation = currentIncarnation(control);
  for (const known of control.files) {
    const { header } = files.get(known.file)!;
    if (header.dbid !== control.dbid)
      throw withName(1122, `database file ${known.file} failed verification check`, known);
    if (header.resetlogsScn !== incarnation.resetlogsScn) {
      throw withName(
        1190,
        `control file or data file ${known.file} is from before the last RESETLOGS`,
        known,
      );
    }
    if (known.backup?.active === true && header.backupScn === known.backup.scn) {
      throw withName(
        10873,
        `file ${known.file} needs to be either taken out of backup mode or media recovered`,
        known,
      );
    }
    if (header.checkpointScn < known.checkpointScn || header.backupScn !== null) {
      throw withName(1113, `file ${known.file} needs media recovery`, known);
    }
    if (header.checkpointScn > known.checkpointScn) {
      throw withName(
        1122,
        `database file ${known.file} failed verification check\nORA-01207: file is more recent than control file - old control file`,
        known,
      );
    }
  }
}

/** Every file must have gone beyond its own fuzziness, and all to the same SCN. */
export function checkConsistent(control: ControlFile, files: ReadonlyMap<number, DataFile>): void {
  const fuzzy = findFuzzy(control, files);
  if (fuzzy !== null) throw withName(1194, `file ${fuzzy.file} needs more recovery to be consistent`, fuzzy);
  const most = [...files.values()].reduce(
    (high, { header }) => (header.checkpointScn > high ? header.checkpointScn : high),
    0n,
  );
  const behind = control.files.find(({ file }) => files.get(file)!.header.checkpointScn < most);
  if (behind !== undefined) throw withName(1113, `file ${behind.file} needs media recovery`, behind);
}

export function findFuzzy(
  control: ControlFile,
  files: ReadonlyMap<number, DataFile>,
): ControlDatafile | null {
  const found = control.files.find(({ file }) => {
    const { fuzzy, backupScn, absoluteFuzzyScn, checkpointScn } = files.get(file)!.header;
    return fuzzy || backupScn !== null || absoluteFuzzyScn >= checkpointScn;
  });
  return found ?? null;
}
