import { ClonaError } from '../../errors.ts';
import type { Guest } from '../../guest/guest.ts';
import { quoteSh } from '../../guest/quote.ts';
import { binaryPlace, type PostgresBinaries } from './server-binaries.ts';

/**
 * The server's programs as a Linux guest has them: in `binDir`, else in the folders of Debian's and Red Hat's packages,
 * the newest first, only of `major` where it is given. Throws `databaseVersion` when there are none.
 */
export async function resolveGuestBinaries(
  guest: Guest,
  wanted: { binDir?: string | undefined; major?: number | undefined },
  signal: AbortSignal,
): Promise<PostgresBinaries> {
  const { stdout } = await guest.runShell(lookFor(wanted.binDir), { signal });
  const found = stdout.split('\n').flatMap((line) => {
    const [binDir = '', kind = '', said = ''] = line.split('\t');
    const [, version, major, minor] = /\) ((\d+)(?:\.(\d+))?)/.exec(said) ?? [];
    if (version === undefined) return [];
    const versionNumber = Number(major) * 10_000 + Number(minor ?? 0);
    const source = kind === 'relocated' ? 'given' : 'path';
    return [
      { ...binaryPlace(binDir, source, kind === 'relocated'), version, versionNumber, major: Number(major) },
    ];
  });
  const fitting = found
    .filter(({ major }) => wanted.major === undefined || major === wanted.major)
    .sort((a, b) => b.versionNumber - a.versionNumber);
  const [best] = fitting;
  if (best !== undefined) return best;
  const tried = found.map(({ binDir, version }) => `${binDir}: version ${version}`).join('; ');
  throw new ClonaError('databaseVersion', 'the guest has no PostgreSQL server programs that fit', {
    hint: `name their folder as the guest sees it: database.binDir; found: ${tried || 'none'}`,
  });
}

/** One line a folder: its real path, `relocated` where share and libraries lie beside it (npm's builds), what the server says of itself. */
function lookFor(binDir: string | undefined): string {
  const places = binDir === undefined ? '/usr/lib/postgresql/*/bin /usr/pgsql-*/bin' : quoteSh(binDir);
  return `for d in ${places}; do
  [ -x "$d/postgres" ] || continue
  d=$(readlink -f "$d"); r=$(dirname "$d")
  if [ -e "$r/share/postgresql/postgres.bki" ]; then k=relocated; else k=installed; fi
  v=$(LC_ALL=C LD_LIBRARY_PATH="$r/lib" "$d/postgres" --version 2>/dev/null) || continue
  printf '%s\\t%s\\t%s\\n' "$d" "$k" "$v"
done`;
}
