import { randomUUID } from 'node:crypto';
import { rm, stat, statfs, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { quoteSh } from '../guest/quote.ts';
import { formatSize } from '../site/units.ts';
import { failed, ok, warning, type Finding, type Patient } from './check.ts';

/** The archive and its mirror, by the key that names them. */
function listFolders({ site }: Patient): [string, string][] {
  const { location, mirror } = site.archive;
  return [
    ['archive.location', location],
    ...(mirror === undefined ? [] : [['archive.mirror', mirror] as [string, string]]),
  ];
}

/** R14: the log has two members; each folder is there and takes a file. */
export async function archiveFolders(patient: Patient): Promise<Finding[]> {
  const found: Finding[] = [];
  for (const [key, folder] of listFolders(patient)) found.push(await lookAtFolder(key, folder));
  const { mirror, acceptMirrorAway } = patient.site.archive;
  if (mirror !== undefined && acceptMirrorAway !== undefined) {
    found.push(
      warning(
        `LIVE may be changed while the mirror is away (${acceptMirrorAway}): its log then lies in one place`,
        'take archive.acceptMirrorAway out of the site file once the mirror is back',
      ),
    );
  }
  if (mirror === undefined) {
    found.push(
      warning(
        'the archived log has no mirror: one broken disk ends it',
        'set archive.mirror to a folder on another disk',
      ),
    );
  }
  return found;
}

async function lookAtFolder(key: string, folder: string): Promise<Finding> {
  const facts = await stat(folder).catch((error: NodeJS.ErrnoException) => error);
  if (facts instanceof Error) {
    if (facts.code === 'ENOENT') {
      return failed(
        `${key}: there is no folder ${folder}`,
        `mount its disk, or: mkdir -p ${quoteSh(folder)}`,
      );
    }
    return failed(
      `${key}: ${folder} cannot be looked at: ${facts.message}`,
      'see its rights and its disk',
      6,
    );
  }
  if (!facts.isDirectory()) return failed(`${key}: ${folder} is no folder`, `mend ${key}`);
  const probe = join(folder, `.clona-doctor-${randomUUID()}`);
  try {
    await writeFile(probe, 'written by clona doctor, may be removed\n', { flag: 'wx' });
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    return failed(
      `${key}: ${folder} takes no file: ${reason}`,
      'see its rights, its quota and how it is mounted',
      6,
    );
  } finally {
    await rm(probe, { force: true });
  }
  return ok(`${key}: ${folder} can be written`);
}

/** R12: how far it is to the yellow and the red zone. */
export async function archiveSpace(patient: Patient): Promise<Finding[]> {
  const { yellow, red } = patient.site.archive.zone;
  const found: Finding[] = [];
  for (const [key, folder] of listFolders(patient)) {
    const disk = await statfs(folder).catch(() => undefined);
    if (disk === undefined) continue;
    const free = disk.bavail * disk.bsize;
    // As df says it: root's reserve is no room.
    const taken = disk.blocks - disk.bfree;
    const used = disk.blocks === 0 ? 0 : Math.round((100 * taken) / (taken + disk.bavail));
    const said = `${key}: the disk is ${used} % full, ${formatSize(free)} free`;
    const mend = 'give it a larger disk, or keep less (archive.retention)';
    if (used >= red) found.push(failed(`${said}: the red zone (${red} %)`, mend, 6));
    else if (used >= yellow) found.push(warning(`${said}: the yellow zone (${yellow} %)`, mend));
    else found.push(ok(said));
  }
  return found;
}
