import { createHash } from 'node:crypto';
import { statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import type { RunAs } from '../databases/postgres/server-binaries.ts';

/**
 * The user of embedded control servers where clona is root. A number for local use (systemd's UIDS-GIDS page),
 * below the machines' own, so that nothing that runs on a machine may speak to it.
 */
const controlUser: RunAs = { uid: 69_998, gid: 69_998 };

export interface ControlPlace {
  /** Holds data/, server.log and the site's lock on making them. */
  folder: string;
  socketDir: string;
  runAs: RunAs | undefined;
}

/** sockaddr_un of macOS holds 104 bytes with the closing zero; the socket's own name takes its part. */
const longestSocketDirBytes = 103 - '/.s.PGSQL.5432'.length;

/**
 * Where the embedded control server of a site lives: in `directory`/control. As root it runs as a user of its own,
 * who must be able to get there; a parent's mode is never changed, so under a closed one (such as /root) it lives
 * in /var/lib/clona. A path too long for a socket gets its socket in the temporary folder.
 */
export function placeControl(directory: string): ControlPlace {
  const wanted = join(resolve(directory), 'control');
  const mark = createHash('sha256').update(wanted).digest('hex').slice(0, 12);
  const isRoot = process.platform !== 'win32' && process.getuid?.() === 0;
  const folder = isRoot && !isOpenToAll(dirname(wanted)) ? join('/var/lib/clona', `control-${mark}`) : wanted;
  const short = join(folder, 'run');
  const socketDir =
    Buffer.byteLength(short) <= longestSocketDirBytes ? short : join(tmpdir(), `clona-control-${mark}`);
  return { folder, socketDir, runAs: isRoot ? controlUser : undefined };
}

function isOpenToAll(path: string): boolean {
  for (let folder = path; ; folder = dirname(folder)) {
    try {
      if ((statSync(folder).mode & 0o001) === 0) return false;
    } catch {
      // Not made yet; whoever makes it opens it.
    }
    if (folder === dirname(folder)) return true;
  }
}
