import { ClonaError } from '../../../../errors.ts';
import type { Guest } from '../../../../guest/guest.ts';
import { quoteSh } from '../../../../guest/quote.ts';
import type { ExaminedTarget, RestorePlace } from './place.ts';
import type { GuestShell } from './guest-shell.ts';

type PlaceFiles = Pick<
  RestorePlace,
  | 'readText'
  | 'writeText'
  | 'list'
  | 'isThere'
  | 'makeFolder'
  | 'remove'
  | 'rename'
  | 'resolve'
  | 'examine'
  | 'findMissing'
>;

/** Files and folders of a Linux guest, as a restore needs them. */
export function filesOfGuest(guest: Guest, { shell, must, signal }: GuestShell): PlaceFiles {
  return {
    readText: async (path) => readIfThere(path, 'cat', shell),
    writeText: async (path, text) => guest.writeFile(path, text, 0o600, signal),
    list: async (path) =>
      (await readIfThere(path, 'ls -A', shell))?.split('\n').filter((name) => name !== '') ?? null,
    isThere: async (path) => (await shell(`[ -e ${quoteSh(path)} ]`)).exitCode === 0,
    makeFolder: async (path) =>
      void (await must(`umask 077 && mkdir -p ${quoteSh(path)} && chmod 700 ${quoteSh(path)}`)),
    remove: async (path) => void (await must(`rm -rf ${quoteSh(path)}`)),
    rename: async (from, to) => {
      // An empty folder gives way; mv would move into it.
      const script = `if [ -d ${quoteSh(to)} ]; then rmdir ${quoteSh(to)}; fi && mv ${quoteSh(from)} ${quoteSh(to)} && sync -f ${quoteSh(to)}`;
      await must(script);
    },
    resolve: async (path) => resolveInGuest(path, must),
    examine: async (path) => examineGuest(path, must),
    findMissing: async (paths) => {
      if (paths.length === 0) return [];
      const out = await must(
        `for f in ${paths.map(quoteSh).join(' ')}; do [ -e "$f" ] || printf '%s\\n' "$f"; done`,
      );
      return out.split('\n').filter((line) => line !== '');
    },
  };
}

const absent = 44;

/** What a command says of a path; null: there is no such path. */
async function readIfThere(
  path: string,
  command: string,
  shell: GuestShell['shell'],
): Promise<string | null> {
  const { exitCode, stdout, stderr } = await shell(
    `if [ -e ${quoteSh(path)} ]; then ${command} ${quoteSh(path)}; else exit ${absent}; fi`,
  );
  if (exitCode === absent) return null;
  if (exitCode === 0) return stdout;
  throw new ClonaError('guestFailed', `${path} cannot be read on the guest`, {
    cause: new Error(stderr.trim()),
  });
}

async function resolveInGuest(path: string, must: GuestShell['must']): Promise<string> {
  const out = await must(
    `t=${quoteSh(path)}; if [ -L "$t" ]; then readlink -e "$t" || echo nowhere; else printf %s "$t"; fi`,
  );
  const found = out.replace(/\n$/, '');
  if (found !== 'nowhere') return found;
  throw new ClonaError('targetOccupied', `${path} is a link that leads nowhere on the guest`, {
    hint: 'make the folder it leads to, or name that folder itself',
  });
}

async function examineGuest(path: string, must: GuestShell['must']): Promise<ExaminedTarget> {
  const out = await must(
    `t=${quoteSh(path)}
    d=$t; while [ ! -d "$d" ]; do d=$(dirname "$d"); done; [ -w "$d" ] && echo "ok" || echo "$d"
    mountpoint -q "$t" 2>/dev/null && echo mount || echo folder; df -Pk "$d" | tail -n 1`,
  );
  const [reach = '', kind = '', line = ''] = out.split('\n');
  // Filesystem, blocks, used, available, capacity, mounted on: names may hold blanks, so it is counted from "NN%".
  const [, available] = /\s(\d+)\s+\d+%\s/.exec(line) ?? [];
  return {
    freeBytes: Number(available ?? 0) * 1024,
    unreachable: reach === 'ok' ? null : reach,
    isMountPoint: kind === 'mount',
  };
}
