import type { OracleTools } from '../databases/oracle/guest-tools.ts';
import { ClonaError } from '../errors.ts';
import type { GuestAddress } from '../guest/guest.ts';
import type { Site } from '../site/site.ts';

/** The machine on which Oracle's own programs run, by SSH as the site's `guest` says. */
export function oracleGuestAddress({ guest }: Site, host: string): GuestAddress {
  if (guest === undefined) {
    throw new ClonaError('siteInvalid', 'the site names no way into a machine: guest is missing', {
      hint: 'guest: { user, privateKey, hostKey }; the user is in the group dba (Windows: ORA_DBA)',
    });
  }
  if (guest.hostKey === undefined) {
    throw new ClonaError('siteInvalid', 'guest.hostKey is missing: no other machine may answer', {
      hint: 'ssh-keyscan HOST | ssh-keygen -lf - prints it as SHA256:…',
    });
  }
  return {
    endpoint: { kind: 'tcp', host, port: guest.port },
    user: guest.user,
    privateKeyFile: guest.privateKey,
    hostKey: guest.hostKey,
    platform: guest.platform,
  };
}

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
