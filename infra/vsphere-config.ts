import { readFileSync } from 'node:fs';
import { z } from 'zod';
import type { VsphereStagingArgs } from './staging-args.ts';

const text = z.string().min(1);
const number = (low: number, high: number) =>
  z
    .string()
    .regex(/^\d+$/, { error: 'a whole number' })
    .transform(Number)
    .refine((value) => value >= low && value <= high, { error: `a whole number from ${low} to ${high}` });

/** The keys of `pulumi config` for the platform vsphere. */
export const vsphereConfig = {
  site: text.optional().describe('whose machine it is, shown in vCenter'),
  vsphereServer: z
    .string()
    .regex(/^[^/@\s]+$/, { error: 'host or host:port, no URL' })
    .optional()
    .describe('vCenter: host or host:port'),
  vsphereUser: text.optional().describe('the user who clones'),
  vspherePassword: text.optional().describe('its password, set with --secret; default: VSPHERE_PASSWORD'),
  vsphereAuthority: text.optional().describe("file: certificate of the authority that signed the vCenter's"),
  vsphereAllowUnverifiedTls: z.enum(['true', 'false']).optional().describe('true: any certificate will do'),
  datacenter: text.optional().describe('name of the datacenter'),
  cluster: text.optional().describe('compute cluster, or a host'),
  resourcePool: text.optional().describe('resource pool of the clone'),
  datastore: text.optional().describe('datastore of the clone'),
  datastoreCluster: text.optional().describe('datastore cluster, in place of datastore'),
  folder: text.optional().describe('inventory folder of the clone'),
  clone: z.enum(['full', 'linked']).optional().describe('full (default), or linked on a base snapshot'),
  customization: text.optional().describe('name of a customization specification of the vCenter'),
  isolatedPortGroup: text.optional().describe('a port group that leads nowhere'),
  host: text.optional().describe('in its place: the host on which one is made'),
  cpus: number(1, 768).optional().describe('default: as production'),
  memoryMb: number(4, 25_165_824).optional().describe('default: as production'),
  dataDiskGib: number(1, 63_488).optional().describe('size of its last disk; default: as production'),
  guestUser: text.optional().describe('the SSH user in the guest'),
  guestPrivateKey: text.optional().describe('file: the private key for it'),
  guestHostKey: z
    .string()
    .regex(/^SHA256:[A-Za-z0-9+/]{43}=?$/, { error: 'a fingerprint as ssh-keygen -l prints it' })
    .optional()
    .describe('the host key that is accepted'),
  guestPlatform: z.enum(['linux', 'windows']).optional().describe('default: linux'),
  guestPort: number(1, 65_535).optional().describe('default: 22'),
  systemDisk: text.optional().describe('where the application lies in the guest; default: /opt'),
  dataDisk: text.optional().describe('where the data lies in the guest; default: /data'),
};

type VsphereValues = z.infer<z.ZodObject<typeof vsphereConfig>>;

interface Mistake {
  key: string;
  problem: string;
}

/** What no single key can tell. On another platform the keys are merely not used. */
export function checkVsphereConfig(
  values: Readonly<Record<string, unknown>>,
  isSecret: (key: string) => boolean,
  env: Readonly<Record<string, string | undefined>>,
): Mistake[] {
  const has = (key: string): boolean => values[key] !== undefined;
  const mistakes: Mistake[] = [];
  if (has('vspherePassword') && !isSecret('vspherePassword')) {
    mistakes.push({ key: 'vspherePassword', problem: 'stands in clear text: set it again with --secret' });
  }
  if (values['platform'] !== 'vsphere') return mistakes;
  const needed = [
    'vsphereServer',
    'vsphereUser',
    'datacenter',
    'guestUser',
    'guestPrivateKey',
    'guestHostKey',
  ];
  const missing = needed.filter((key) => !has(key));
  mistakes.push(...missing.map((key) => ({ key, problem: 'is missing: the platform vsphere needs it' })));
  if (!has('vspherePassword') && !env['VSPHERE_PASSWORD']) {
    mistakes.push({ key: 'vspherePassword', problem: 'is missing, and VSPHERE_PASSWORD is not set' });
  }
  for (const [key, other] of [
    ['cluster', 'resourcePool'],
    ['datastore', 'datastoreCluster'],
    ['isolatedPortGroup', 'host'],
  ] as const) {
    if (!has(key) && !has(other)) mistakes.push({ key, problem: `is missing: it or ${other} is needed` });
  }
  for (const [key, other] of [
    ['datastoreCluster', 'datastore'],
    ['host', 'isolatedPortGroup'],
  ] as const) {
    if (has(key) && has(other)) mistakes.push({ key, problem: `stands beside ${other}` });
  }
  const { vsphereAuthority } = values;
  if (typeof vsphereAuthority === 'string')
    mistakes.push(...refuseFile('vsphereAuthority', vsphereAuthority));
  return mistakes;
}

function refuseFile(key: string, file: string): Mistake[] {
  try {
    readFileSync(file);
    return [];
  } catch (error) {
    const reason = error instanceof Error && 'code' in error ? String(error.code) : String(error);
    return [{ key, problem: `the file ${file} cannot be read: ${reason}` }];
  }
}

/** Of keys that `checkVsphereConfig` found complete. */
export function toVsphereArgs(
  values: VsphereValues,
  env: Readonly<Record<string, string | undefined>>,
): VsphereStagingArgs {
  const { vsphereAuthority, isolatedPortGroup, cpus, memoryMb, dataDiskGib } = values;
  const { datacenter = '', cluster, resourcePool, datastore, datastoreCluster, folder } = values;
  return {
    address: {
      server: values.vsphereServer ?? '',
      user: values.vsphereUser ?? '',
      password: values.vspherePassword ?? env['VSPHERE_PASSWORD'] ?? '',
      allowUnverifiedTls: values.vsphereAllowUnverifiedTls === 'true',
      ...(vsphereAuthority === undefined ? {} : { authority: readFileSync(vsphereAuthority, 'utf8') }),
    },
    // As a secret of the stack; what comes from the environment the provider reads there itself.
    passwordInState: values.vspherePassword !== undefined,
    places: { datacenter, cluster, resourcePool, datastore, datastoreCluster, folder },
    clone: values.clone,
    customization: values.customization,
    network: isolatedPortGroup === undefined ? { host: values.host ?? '' } : { portGroup: isolatedPortGroup },
    size: { cpus, memoryMb, dataDiskGib },
    guest: {
      user: values.guestUser ?? '',
      privateKeyFile: values.guestPrivateKey ?? '',
      hostKey: values.guestHostKey ?? '',
      platform: values.guestPlatform ?? 'linux',
      port: values.guestPort ?? 22,
    },
    systemDisk: values.systemDisk ?? '/opt',
    dataDisk: values.dataDisk ?? '/data',
  };
}
