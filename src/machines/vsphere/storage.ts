import type { Vim } from './client.ts';
import { child, children, text, xsiType, type MoRef } from './soap.ts';

/** What lies behind a datastore (R16): the canonical names of its LUNs, or the server and folder of a share. */
export interface DatastoreDevices {
  name: string;
  kind: 'vmfs' | 'nfs' | 'other';
  devices: string[];
  capacityBytes: number;
  freeBytes: number;
}

/** Datastore → extents → disks (vSphere Web Services API, VmfsDatastoreInfo and NasDatastoreInfo). */
export async function readDatastore(
  vim: Vim,
  datastore: MoRef,
  signal: AbortSignal,
): Promise<DatastoreDevices> {
  const properties = await vim.read(datastore, ['info', 'summary'], signal);
  const info = properties.get('info');
  const summary = properties.get('summary');
  const extents = children(child(info, 'vmfs'), 'extent').map((extent) => text(child(extent, 'diskName')));
  const share = child(info, 'nas');
  const url = text(child(summary, 'url'));
  const kind = extents.length > 0 ? 'vmfs' : share === undefined ? 'other' : 'nfs';
  return {
    name: text(child(summary, 'name')),
    kind,
    devices:
      kind === 'vmfs'
        ? extents
        : kind === 'nfs'
          ? [`${text(child(share, 'remoteHost'))}:${text(child(share, 'remotePath'))}`]
          : [url === '' ? (xsiType(info) ?? 'unknown') : url],
    capacityBytes: Number(text(child(summary, 'capacity'))),
    freeBytes: Number(text(child(summary, 'freeSpace'))),
  };
}
