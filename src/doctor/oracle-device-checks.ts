import type { DeviceReader } from '../archive/device-reader.ts';
import { compareDevices, resolveDevice, type DeviceFacts } from '../archive/devices.ts';
import type { ControlFileRows } from '../databases/oracle/control-file.ts';
import { failed, ok, skipped, warning, type Finding, type Patient } from './check.ts';

/** R14 and R16, as the machine of the database itself sees its disks: two folders can be one device. */
export async function oracleDevices(patient: Patient): Promise<Finding[]> {
  const { site, signal } = patient;
  if (site.database.engine !== 'oracle') return [];
  const facts = await patient.oracle?.().catch(() => undefined);
  if (facts === undefined) return [];
  const { host } = site.database;
  const guest = site.guest;
  if (host === undefined || guest?.hostKey === undefined) {
    return [
      skipped(
        'the disks below the online log cannot be seen: the site names no way into the machine (guest)',
      ),
    ];
  }
  if (guest.platform === 'windows') return [skipped('the disks of a Windows machine are not looked at')];
  try {
    const { oracleGuestAddress } = await import('../pipeline/oracle/guest-address.ts');
    const { openGuest } = await import('../guest/open.ts');
    const { guestDevices } = await import('../archive/guest-devices.ts');
    await using opened = await openGuest(oracleGuestAddress(site, host), signal);
    return await judgeOracleDevices(facts.rows, site.archive, guestDevices(opened, signal));
  } catch (error) {
    signal.throwIfAborted();
    const why = error instanceof Error ? error.message : String(error);
    return [skipped(`the disks below the online log cannot be seen: ${why}`)];
  }
}

interface Places {
  location: string;
  acceptSharedDisk?: string | undefined;
}

export async function judgeOracleDevices(
  rows: ControlFileRows,
  { location, acceptSharedDisk }: Places,
  reader: DeviceReader,
): Promise<Finding[]> {
  const known = new Map<string, Promise<DeviceFacts>>();
  const deviceOf = async (path: string): Promise<DeviceFacts> => {
    const found = known.get(folderOf(path)) ?? resolveDevice(folderOf(path), reader);
    known.set(folderOf(path), found);
    return found;
  };
  const found: Finding[] = [];
  for (const [group, members] of groupsOf(rows)) {
    if (members.length > 1) found.push(await judgeGroup(group, members, deviceOf));
  }
  const shown = found.some(({ state }) => state !== 'ok')
    ? found.filter(({ state }) => state !== 'ok')
    : found;
  const apart = shown.every(({ state }) => state === 'ok');
  const redo =
    apart && found.length > 0
      ? [ok(`the members of each of ${found.length} groups of the online log are on different devices`)]
      : shown;
  return [...redo, ...(await judgeArchive(rows, location, acceptSharedDisk, deviceOf, reader))];
}

function groupsOf({ logMembers }: ControlFileRows): Map<string, string[]> {
  const groups = new Map<string, string[]>();
  for (const { group, type, member } of logMembers) {
    if (type === 'STANDBY' || member === null) continue;
    groups.set(group ?? '', [...(groups.get(group ?? '') ?? []), member]);
  }
  return groups;
}

type DeviceOf = (path: string) => Promise<DeviceFacts>;

/** Two members that share nothing suffice. A disk group of ASM mirrors inside of itself, and is not seen from here. */
async function judgeGroup(group: string, members: readonly string[], deviceOf: DeviceOf): Promise<Finding> {
  if (members.some((member) => member.startsWith('+'))) {
    return skipped(
      `group ${group} of the online log lies in ASM: its redundancy says how many disks hold it`,
    );
  }
  const reasons: string[] = [];
  let unknown = false;
  for (const [index, member] of members.entries()) {
    for (const other of members.slice(index + 1)) {
      const { same, reasons: why } = compareDevices(await deviceOf(member), await deviceOf(other));
      if (same === 'no') return ok(`group ${group} of the online log is on different devices`);
      unknown ||= same === 'unknown';
      reasons.push(...why);
    }
  }
  const said = [...new Set(reasons)].join('; ');
  if (unknown) return skipped(`the disks of group ${group} of the online log cannot be compared: ${said}`);
  return failed(
    `the members of group ${group} of the online log are on one device: when it breaks, the log is lost (${said})`,
    "ALTER DATABASE ADD LOGFILE MEMBER '…' TO GROUP n, on another disk; then drop the one that shares it",
  );
}

/** R16, where the machine of the database sees the archive at all. */
async function judgeArchive(
  { datafiles }: ControlFileRows,
  location: string,
  accepted: string | undefined,
  deviceOf: DeviceOf,
  reader: DeviceReader,
): Promise<Finding[]> {
  const [first] = datafiles.flatMap(({ name }) => (name === null || name.startsWith('+') ? [] : [name]));
  if (first === undefined || !(await reader.exists(location))) return [];
  const { same, reasons } = compareDevices(await deviceOf(first), await resolveDevice(location, reader));
  const why = reasons.join('; ');
  if (same === 'unknown') return [skipped(`the disks of datafiles and archive cannot be compared: ${why}`)];
  if (same === 'no') return [ok(`datafiles and archive are on different devices: ${why}`)];
  if (accepted !== undefined) {
    return [
      warning(
        `datafiles and archive are on ONE DISK, accepted: ${accepted} (${why})`,
        'when that disk breaks, both are gone: get a second one',
      ),
    ];
  }
  return [
    failed(
      `datafiles and archive are on one disk: when it breaks, both are gone (${why})`,
      'put one of them on another disk, or say why not: archive.acceptSharedDisk: <reason>',
    ),
  ];
}

function folderOf(path: string): string {
  return path.slice(0, Math.max(1, path.lastIndexOf('/')));
}
