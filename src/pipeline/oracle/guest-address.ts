import { ClonaError } from '../../errors.ts';
import type { GuestAddress } from '../../guest/guest.ts';
import type { Site } from '../../site/site.ts';

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
