import { z } from 'zod';
import { secret, text } from './fields.ts';

/** What a backup of RMAN does not hold, kept beside it. Paths are those of the machines, not of this host. */
export const oracleKeep = (folder: string) =>
  z
    .strictObject({
      folder: text(
        'where it is kept, seen by production and by the clones; default: keep in archive.location',
        ['/archive/erp/keep'],
      ).optional(),
      passwordFile: text("production's password file", [
        '/u01/app/oracle/product/19.0.0/dbhome_1/dbs/orapwERP',
      ]).optional(),
      wallet: text("the folder of production's wallet: TCPS, external passwords", [
        '/etc/oracle/wallets/tcps',
      ]).optional(),
      keystore: text("the folder of production's TDE keystore", ['/etc/oracle/wallets/ERP/tde']).optional(),
      keystoreTo: text('where its copies lie: never with the backups that it opens', [
        '/secure/keystores/erp',
      ]).optional(),
      keystorePassword: secret(
        folder,
        'password of the keystore, where it does not open by itself',
      ).optional(),
    })
    .refine(({ keystore, keystoreTo }) => (keystore === undefined) === (keystoreTo === undefined), {
      error: 'keystore and keystoreTo belong together: the keystore is never kept with the backups',
    })
    .meta({ description: 'parameters, password file, wallet and keystore, kept beside each backup' });
