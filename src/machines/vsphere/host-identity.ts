import { readFile } from 'node:fs/promises';
import { networkInterfaces } from 'node:os';
import type { HostIdentity } from './storage.ts';

/** What this host says of itself; without root Linux keeps the UUID back, and the addresses must do. */
export async function readHostIdentity(): Promise<HostIdentity> {
  const read = async (file: string): Promise<string> =>
    readFile(`/sys/class/dmi/id/${file}`, 'utf8').catch(() => '');
  const cards = Object.values(networkInterfaces()).flatMap((entries = []) => {
    const outside = entries.filter(({ internal }) => !internal);
    const [first] = outside;
    return first === undefined ? [] : [{ mac: first.mac, addresses: outside.map(({ address }) => address) }];
  });
  return { uuids: biosUuids(await read('product_serial'), await read('product_uuid')), cards };
}

/**
 * VMware's serial number is the BIOS UUID as vCenter writes it ("VMware-42 1a 0f …"). SMBIOS turns the first three
 * groups of the UUID itself around, and not every kernel turns them back: both orders are tried.
 */
export function biosUuids(serial: string, uuid: string): string[] {
  const digits = /^VMware-([0-9a-f\s-]+)$/i.exec(serial.trim())?.[1]?.replaceAll(/[^0-9a-f]/gi, '') ?? '';
  const given = uuid.trim().toLowerCase();
  const turned = given.replace(
    /^(..)(..)(..)(..)-(..)(..)-(..)(..)-/,
    (_whole, a: string, b: string, c: string, d: string, e: string, f: string, g: string, h: string) =>
      `${d}${c}${b}${a}-${f}${e}-${h}${g}-`,
  );
  const dashed = digits.toLowerCase().replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, '$1-$2-$3-$4-$5');
  return [...new Set([dashed, given, turned])].filter((one) =>
    /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/.test(one),
  );
}
