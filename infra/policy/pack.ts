import {
  PolicyPack,
  UnknownValueError,
  type PolicyProviderResource,
  type ReportViolation,
  type ResourceValidationArgs,
  type StackValidationArgs,
} from '@pulumi/policy';
import type { VimAddress } from '../../src/machines/vsphere/client.ts';
import { addressOf, readAttributeNames, readMachine, readNetworks } from './look.ts';
import {
  refuseForeign,
  refuseLife,
  refuseLocal,
  refuseMachine,
  refuseNetworks,
  refusePortGroup,
  refuseType,
} from './rules.ts';

/**
 * The policies of LIVE STAGING. They trust no program: what a resource asks for is held against vCenter itself,
 * with the credentials of the resource's own provider. What cannot be asked is refused.
 */

const machineType = 'vsphere:index/virtualMachine:VirtualMachine';
const snapshotType = 'vsphere:index/virtualMachineSnapshot:VirtualMachineSnapshot';
const groupType = 'vsphere:index/hostPortGroup:HostPortGroup';
const localType = 'clona-local:index:Machine';

/** A value that is made in this very update is not known in its preview; the update itself looks again. */
function known<Value>(read: () => Value): Value | undefined {
  try {
    return read();
  } catch (error) {
    if (error instanceof UnknownValueError) return undefined;
    throw error;
  }
}

/** What the engine says of the stack; newer ones put the language into the name. */
const saidOfStack = (name: string): string | undefined =>
  process.env[`PULUMI_NODEJS_${name}`] ?? process.env[`PULUMI_${name}`];

const isPreview = saidOfStack('DRY_RUN') === 'true';

function vcenterOf(provider: PolicyProviderResource | undefined): VimAddress {
  return addressOf(provider?.props ?? {}, process.env);
}

/** Networks that somebody declared to lead nowhere: in the policy's configuration, or in that of the stack. */
function isolatedNetworks({ getConfig }: Pick<ResourceValidationArgs, 'getConfig'>): string[] {
  const { isolatedNetworks: named = [] } = getConfig<{ isolatedNetworks?: string[] }>();
  if (named.length > 0) return named;
  const stack: unknown = JSON.parse(process.env['PULUMI_CONFIG'] ?? '{}');
  const group = (stack as Record<string, unknown>)[`${saidOfStack('PROJECT')}:isolatedPortGroup`];
  return typeof group === 'string' ? [group.split('/').at(-1) ?? group] : [];
}

/** Hosts of the port groups that this stack makes, by name: a clone is checked after them, it stands on them. */
const madeGroups = new Map<string, string>();

async function checkIsolation(args: ResourceValidationArgs, report: ReportViolation): Promise<void> {
  const { type, props, provider } = args;
  if (type === localType) for (const reason of refuseLocal(props).isolation) report(reason);
  if (type === groupType) {
    const [name, host] = [known((): unknown => props['name']), known((): unknown => props['hostSystemId'])];
    if (typeof name === 'string' && typeof host === 'string') madeGroups.set(name, host);
    for (const reason of refusePortGroup(props['activeNics'] ?? [], props['standbyNics'] ?? []))
      report(reason);
  }
  if (type !== machineType) return;
  const templateUuid = known((): unknown => props['clone']?.templateUuid);
  // What is no clone is refused by another policy.
  if (typeof templateUuid !== 'string') return;
  const cards: readonly { networkId?: unknown }[] = known(() => [...props['networkInterfaces']]) ?? [];
  const ids = cards.map((card) => known(() => card.networkId)).filter((id) => typeof id === 'string');
  const networks = await readNetworks(vcenterOf(provider), ids, templateUuid, madeGroups);
  for (const reason of refuseNetworks(networks, isolatedNetworks(args))) report(reason);
}

async function checkLife(args: ResourceValidationArgs, report: ReportViolation): Promise<void> {
  const { type, props, provider } = args;
  if (type === localType) for (const reason of refuseLocal(props).life) report(reason);
  if (type !== machineType) return;
  const names = await readAttributeNames(vcenterOf(provider));
  // The first clone on a vCenter makes the attributes, which a preview does not.
  if (isPreview && names.size === 0) return;
  const values: Record<string, unknown> = props['customAttributes'] ?? {};
  const marks = Object.keys(values).map(
    (key) => [names.get(key) ?? key, String(known(() => values[key]))] as const,
  );
  for (const reason of refuseLife(new Map(marks))) report(reason);
}

async function checkProduction(args: ResourceValidationArgs, report: ReportViolation): Promise<void> {
  const { type, props, provider } = args;
  for (const reason of refuseType(type)) report(reason);
  if (type === localType) for (const reason of refuseLocal(props).production) report(reason);
  if (type === machineType) {
    const templateUuid = known((): unknown => props['clone']?.templateUuid);
    const cards: readonly { useStaticMac?: unknown }[] = props['networkInterfaces'] ?? [];
    const isStatic = cards.some((card) => card.useStaticMac === true);
    for (const reason of refuseMachine(
      typeof templateUuid === 'string' ? templateUuid : undefined,
      isStatic,
    )) {
      report(reason);
    }
  }
  if (type === snapshotType) {
    const uuid = known((): unknown => props['virtualMachineUuid']);
    if (typeof uuid !== 'string') return;
    for (const reason of refuseForeign(await readMachine(vcenterOf(provider), uuid))) report(reason);
  }
}

/** After a preview the UUIDs of machines that were there before are known: an imported one shows itself. */
async function checkAdopted({ resources }: StackValidationArgs, report: ReportViolation): Promise<void> {
  for (const { type, props, provider, urn } of resources) {
    if (type !== machineType) continue;
    const uuid = known((): unknown => props['uuid']);
    if (typeof uuid !== 'string' || uuid === '') continue;
    const templateUuid = known((): unknown => props['clone']?.templateUuid);
    const machine = await readMachine(vcenterOf(provider), uuid);
    const reasons = refuseForeign(machine, typeof templateUuid === 'string' ? templateUuid : undefined);
    for (const reason of reasons) report(reason, urn);
  }
}

export const pack = new PolicyPack('clona', {
  enforcementLevel: 'mandatory',
  policies: [
    {
      name: 'staging-isolated',
      description: 'A clone is only on networks that lead nowhere, and never where production is (R21).',
      configSchema: {
        properties: {
          isolatedNetworks: {
            type: 'array',
            items: { type: 'string' },
            default: [],
            description: 'names or ids of networks that lead nowhere although their switch has an uplink',
          },
        },
      },
      validateResource: checkIsolation,
    },
    {
      name: 'staging-expires',
      description: 'A staging machine says when it may be destroyed, and of what it is a clone.',
      validateResource: checkLife,
    },
    {
      name: 'production-untouched',
      description: 'A staging stack makes clones; it neither takes over nor changes production (R21).',
      validateResource: checkProduction,
    },
    {
      name: 'production-not-adopted',
      description: 'No machine of a staging stack is one that clona did not make.',
      validateStack: checkAdopted,
    },
  ],
});
