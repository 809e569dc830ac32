import type { OracleTools } from '../../databases/oracle/guest-tools.ts';
import { ClonaError } from '../../errors.ts';
import { quoteSh } from '../../guest/quote.ts';

/**
 * R20: a reverted LIVE that opens its database by itself goes on with the old incarnation, and archives under names that are in the
 * archive with other content, until clona is in. So nobody is disturbed for a promotion whose way back would be that. What starts it
 * otherwise (Oracle Restart, a service of Windows) cannot be seen here.
 */
export async function refuseStartAtBoot({ guest, home, instanceName, signal }: OracleTools): Promise<void> {
  if (guest.platform === 'windows') return;
  // Linux, Solaris; and beside the software, where a site keeps its own.
  const places = ['/etc/oratab', '/var/opt/oracle/oratab', `${home}/oratab`].map(quoteSh).join(' ');
  const { stdout } = await guest.runShell(`cat ${places} 2>/dev/null || true`, { signal });
  if (!startsAtBoot(stdout, instanceName)) return;
  throw new ClonaError(
    'machineFailed',
    `${instanceName} starts with the machine: a reverted LIVE would go on by itself`,
    {
      hint: `oratab says ${instanceName}:…:Y, write N; LIVE is started by clona after a revert, and by you after a reboot`,
    },
  );
}

/** `SID:ORACLE_HOME:Y`, as dbstart reads it; the last line that names an instance counts. Pure. */
export function startsAtBoot(oratab: string, instanceName: string): boolean {
  const found = oratab
    .split('\n')
    .map((line) => line.replace(/#.*/, '').trim().split(':'))
    .findLast(([name, , start]) => name === instanceName && start !== undefined);
  return /^[Yy]/.test(found?.[2] ?? '');
}
