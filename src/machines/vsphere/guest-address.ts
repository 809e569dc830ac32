import { isIPv4 } from 'node:net';
import { child, children, text, type XmlNode } from './soap.ts';

/** A network interface as VMware Tools see it in the guest (GuestNicInfo). */
export interface GuestInterface {
  mac: string;
  addresses: readonly string[];
  /** Key of the virtual card that it is; negative: none, as bridges of containers and VPNs have it. */
  card: number;
}

export function readGuestInterfaces(net: XmlNode | undefined): GuestInterface[] {
  return children(net, 'GuestNicInfo').map((one) => ({
    mac: text(child(one, 'macAddress')).toLowerCase(),
    addresses: children(one, 'ipAddress').map((address) => text(address)),
    card: Number(text(child(one, 'deviceConfigId')) || -1),
  }));
}

/**
 * Where a guest is reached. Tools call one of its addresses the primary one, and may take that of a container bridge
 * (172.17.0.1, the same in every guest), or one that is good on its own link only. Null: none yet. Pure.
 */
export function chooseAddress(
  primary: string,
  interfaces: readonly GuestInterface[],
  macs: readonly string[],
): string | null {
  const own = interfaces.filter(({ card, mac }) => card >= 0 || macs.includes(mac));
  const addresses = own.flatMap((one) => one.addresses).filter((address) => !isLinkLocal(address));
  if (addresses.includes(primary)) return primary;
  const found = addresses.find((address) => isIPv4(address)) ?? addresses[0];
  if (found !== undefined) return found;
  // A bridge over the card may have a MAC of its own: then Tools' word is all there is, unless it is the first address
  // of a net, as bridges have that lead to containers.
  const isInner = own.length > 0 && primary.endsWith('.1');
  return primary === '' || isLinkLocal(primary) || isInner ? null : primary;
}

/** RFC 3927, RFC 4291. */
function isLinkLocal(address: string): boolean {
  return address.startsWith('169.254.') || /^fe[89ab][0-9a-f]:/i.test(address);
}
