import { quoteSh } from '../../../../guest/quote.ts';
import type { PostgresBinaries, RunAs } from '../../server-binaries.ts';
import type { StartByHand } from './place.ts';

/**
 * A line to paste that starts a server on a restored cluster, with all that it needs: a relocated build finds its libraries
 * only by LD_LIBRARY_PATH, and root has to become the user who owns the files. That user may have no name and no shell, so
 * setpriv takes numbers. Sockets go to a folder that everybody may write to: Debian's default is for postgres alone.
 */
export function startLine(
  binaries: Pick<PostgresBinaries, 'binDir' | 'env'>,
  owner: RunAs | null,
  { dataDir, logFile, socketDir, port }: StartByHand & { dataDir: string; logFile: string },
): string {
  const become = owner === null ? [] : becoming(owner);
  const name = process.platform === 'darwin' ? 'DYLD_LIBRARY_PATH' : 'LD_LIBRARY_PATH';
  const libraries = binaries.env[name] === undefined ? [] : [`${name}=${binaries.env[name]}`];
  // Beside a production that runs, its port on localhost is taken, and its programs must not find the copy by chance.
  const options = `-k ${quoteSh(socketDir)} -c listen_addresses=${port === undefined ? '' : ` -p ${port}`}`;
  const server = [`${binaries.binDir}/pg_ctl`, '-D', dataDir, '-l', logFile, '-o', options, '-w', 'start'];
  const words = [...become, ...(libraries.length === 0 ? [] : ['env', ...libraries]), ...server];
  // Root's own folder is closed to that user, and pg_ctl wants to come back to where it was called.
  return `${owner === null ? '' : 'cd / && '}${words.map(quoteSh).join(' ')}`;
}

function becoming({ uid, gid }: RunAs): string[] {
  return process.platform === 'linux'
    ? ['setpriv', `--reuid=${uid}`, `--regid=${gid}`, '--clear-groups']
    : ['sudo', '-u', `#${uid}`];
}
