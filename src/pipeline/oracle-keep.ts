import { refuseKeyBesideBackups, type KeepSettings } from '../databases/oracle/kept-files.ts';
import { joinGuest } from '../databases/oracle/rman-text.ts';
import type { Site } from '../site/site.ts';

/** What the site keeps beside Oracle's backups; undefined: nothing. Throws `siteInvalid` where the keystore would lie with them. */
export function keepSettingsOf({ archive, database, guest }: Site): KeepSettings | undefined {
  const keep = database.oracle?.keep;
  if (keep === undefined) return undefined;
  const { passwordFile, wallet, keystore, keystoreTo } = keep;
  const settings: KeepSettings = {
    folder: keep.folder ?? joinGuest(guest?.platform ?? 'linux', archive.location, 'keep'),
    passwordFile,
    wallet,
    keystore:
      keystore === undefined || keystoreTo === undefined ? undefined : { from: keystore, to: keystoreTo },
  };
  const { location, mirror } = archive;
  refuseKeyBesideBackups(settings, mirror === undefined ? [location] : [location, mirror]);
  return settings;
}
