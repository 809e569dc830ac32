import { dirname } from 'node:path/posix';
import { sameDevice } from '../../archive/devices.ts';
import { guestDevices } from '../../archive/guest-devices.ts';
import type { DatabaseAddress } from '../../databases/database.ts';
import { connectOracle } from '../../databases/oracle/connect.ts';
import type { OracleTools } from '../../databases/oracle/guest-tools.ts';
import type { Site } from '../../site/site.ts';
import { judgeArchiveDisk } from '../production.ts';

/** R16, as the machine of the database sees its datafiles and the archive. Throws `sharedDisk`, unless the site accepts it. */
export async function compareDisks(
  { archive }: Pick<Site, 'archive'>,
  address: DatabaseAddress,
  { guest, signal }: OracleTools,
): Promise<string | null> {
  if (guest.platform === 'windows') return null;
  await using session = await connectOracle(address, signal, { module: 'clona backup' });
  const rows = await session.query('SELECT NAME FROM V$DATAFILE ORDER BY FILE#');
  const devices = guestDevices(guest, signal);
  for (const folder of new Set(
    rows.flatMap(([name]) => (name?.startsWith('/') === true ? [dirname(name)] : [])),
  )) {
    const said = judgeArchiveDisk(
      await sameDevice(folder, archive.location, devices),
      archive.acceptSharedDisk,
    );
    if (said !== null) return said;
  }
  return null;
}
