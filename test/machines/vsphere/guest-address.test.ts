import { expect, test } from 'vitest';
import { chooseAddress, type GuestInterface } from '../../../src/machines/vsphere/guest-address.ts';

const macs = ['00:50:56:aa:00:01'];
const card = (...addresses: string[]): GuestInterface => ({ mac: macs[0]!, addresses, card: 4000 });
const docker: GuestInterface = { mac: '02:42:9c:00:00:01', addresses: ['172.17.0.1'], card: -1 };
const bridge = (...addresses: string[]): GuestInterface => ({ mac: macs[0]!, addresses, card: -1 });

test.each<[string, string, GuestInterface[], string | null]>([
  ['the primary one of a card', '10.0.0.5', [card('10.0.0.4', '10.0.0.5')], '10.0.0.5'],
  ['not that of a container bridge', '172.17.0.1', [docker, card('10.0.0.5')], '10.0.0.5'],
  ['none while the card has none', '172.17.0.1', [docker, card()], null],
  ['none that is good on its link only', 'fe80::1', [card('fe80::1', '169.254.7.7')], null],
  ['IPv4 before IPv6', 'fe80::1', [card('fe80::1', '2001:db8::5', '10.0.0.5')], '10.0.0.5'],
  ['IPv6 where there is nothing else', 'fe80::1', [card('fe80::1', '2001:db8::5')], '2001:db8::5'],
  ['that of a bridge or bond over the card', '10.0.0.5', [docker, bridge('10.0.0.5')], '10.0.0.5'],
  [
    'that of a bridge with a MAC of its own',
    '10.0.0.5',
    [card(), { ...docker, addresses: ['10.0.0.5'] }],
    '10.0.0.5',
  ],
  ["Tools' own word where they tell of no card", '10.0.0.5', [], '10.0.0.5'],
  ['none without any word', '', [], null],
])('a guest is reached at %s', (_what, primary, interfaces, address) => {
  expect(chooseAddress(primary, interfaces, macs)).toBe(address);
});
