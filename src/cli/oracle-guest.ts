import type { OracleTools } from '../databases/oracle/guest-tools.ts';
import { ClonaError } from '../errors.ts';
import type { GuestAddress } from '../guest/guest.ts';
import { oracleGuestAddress } from '../pipeline/oracle/guest-address.ts';
import type { Site } from '../site/site.ts';

/** What the site must say before anything is begun. */
export function requireOracleTools(
  site: Site,
  host: string,
  home = site.database.oracle?.home,
): { address: GuestAddress; home: string; instanceName: string } {
  const { oracle, name } = site.database;
  const address = oracleGuestAddress(site, host);
  if (home === undefined) {
    throw new ClonaError('siteInvalid', 'database.oracle.home is missing: where are RMAN and SQL*Plus?', {
      hint: 'it is ORACLE_HOME on that machine',
    });
  }
  return { address, home, instanceName: oracle?.instance ?? name ?? '' };
}

export async function openOracleTools(
  site: Site,
  host: string,
  workDir: string,
  signal: AbortSignal,
  otherHome?: string,
): Promise<OracleTools & AsyncDisposable> {
  const { address, home, instanceName } = requireOracleTools(site, host, otherHome);
  const { openGuest } = await import('../guest/open.ts');
  const guest = await openGuest(address, signal);
  return {
    guest,
    home,
    instanceName,
    workDir,
    signal,
    [Symbol.asyncDispose]: async () => guest[Symbol.asyncDispose](),
  };
}
