import { ClonaError } from '../../errors.ts';
import type { Guest } from '../../guest/guest.ts';
import { joinGuest } from './guest-step.ts';

/**
 * The version of the program on a machine, as its version file on the system disk says; null where there is no
 * such file. R18 compares it before promotion.
 */
export async function readProgramVersion(
  guest: Guest,
  systemDisk: string,
  signal: AbortSignal,
  versionFile = 'VERSION',
): Promise<string | null> {
  const path = joinGuest(systemDisk, versionFile);
  const slash = path.lastIndexOf('/');
  const names = await guest.list(path.slice(0, slash) || '/', signal);
  if (!names.includes(path.slice(slash + 1))) return null;
  const text = (await guest.readFile(path, signal)).toString('utf8').trim();
  if (text === '' || text.length > 200 || text.includes('\n')) {
    throw new ClonaError('guestFailed', `the version file ${path} does not hold one line with a version`);
  }
  return text;
}

export async function writeProgramVersion(
  guest: Guest,
  systemDisk: string,
  version: string,
  versionFile: string,
  signal: AbortSignal,
): Promise<void> {
  await guest.writeFile(joinGuest(systemDisk, versionFile), `${version}\n`, 0o644, signal);
}
