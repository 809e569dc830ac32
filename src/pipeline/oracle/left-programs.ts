import type { OracleTools } from '../../databases/oracle/guest-tools.ts';
import { quoteSh } from '../../guest/quote.ts';

/**
 * A clona that is killed leaves RMAN or SQL*Plus at work on the machine: they would go on beside the second attempt. Each has a
 * program of its own folder on its command line, and by that it is found. Linux guests; on Windows the SSH server ends them
 * with the connection.
 */
export async function endLeftPrograms({ guest, workDir, signal }: OracleTools): Promise<void> {
  if (guest.platform === 'windows') return;
  // Bracketed, so that the shell which looks does not find itself.
  const pattern = `[${workDir[0] ?? '/'}]${escapePattern(workDir.slice(1))}/`;
  const script = `command -v pgrep >/dev/null || exit 0
for round in 1 2 3 4 5 6 7 8 9 10; do
  left=$(pgrep -f -- ${quoteSh(pattern)}) || exit 0
  kill -9 $left 2>/dev/null
done
exit 0`;
  await guest.runShell(script, { signal });
}

/** Programs and what they printed are kept for a month beside the database, then they go: a night makes ten folders. */
export async function removeOldWork({ guest, workDir, signal }: OracleTools): Promise<void> {
  if (guest.platform === 'windows') return;
  const folder = workDir.slice(0, workDir.lastIndexOf('/'));
  const script = `find ${quoteSh(folder)} -mindepth 1 -maxdepth 1 -type d -mtime +30 -exec rm -rf -- {} + 2>/dev/null; exit 0`;
  await guest.runShell(script, { signal });
}

function escapePattern(text: string): string {
  return text.replaceAll(/[.*+?^${}()|[\]\\]/g, String.raw`\$&`);
}
