import type { Deployment, Stack } from '@pulumi/pulumi/automation/index.js';

/** What the state of a stack says of its virtual machine (apitype.DeploymentV3 of the engine). */
export interface StackMachine {
  /** The provider's id: the machine's UUID. Undefined: the stack has made none. */
  id: string | undefined;
  /** Every virtual machine of the stack, also one that somebody imported; `id` is the first one's. */
  machines: readonly StackResource[];
  /** Resources of the provider that no program of clona makes. */
  foreign: readonly StackResource[];
  /** The engine was killed while it made one: what became of it nobody wrote down. */
  isUnfinished: boolean;
  /** The port group that the stack made for it on a host; undefined: it uses one that was there. */
  portGroup?: StackPortGroup | undefined;
  /** It was made as a linked clone, whatever the site says by now. */
  isLinked: boolean;
  /** Ids of its tags and keys of its custom attributes, as the state believes them to be. */
  tags?: readonly string[] | undefined;
  attributeKeys?: readonly string[] | undefined;
}

export interface StackResource {
  urn: string;
  id: string;
}

export interface StackPortGroup {
  name: string;
  /** Id of the host (HostSystem). */
  host: string;
  vlan: number;
}

const machineType = 'vsphere:index/virtualMachine:VirtualMachine';
const groupType = 'vsphere:index/hostPortGroup:HostPortGroup';

export function readStackMachine({ deployment }: Pick<Deployment, 'deployment'>): StackMachine {
  const resources = recordsOf(deployment, 'resources').filter(({ type }) => type === machineType);
  const id = resources.map((resource) => resource['id']).find((one) => typeof one === 'string' && one !== '');
  const isUnfinished = recordsOf(deployment, 'pending_operations').some(
    ({ type, resource }) => type === 'creating' && isRecord(resource) && resource['type'] === machineType,
  );
  const outputs = resources.map((resource) => resource['outputs']).find(isRecord) ?? {};
  const { tags, customAttributes, clone } = outputs;
  const made = recordsOf(deployment, 'resources').flatMap(readResource);
  return {
    id: typeof id === 'string' ? id : undefined,
    machines: made.filter(({ type }) => type === machineType),
    foreign: made.filter(
      ({ type }) => type.startsWith('vsphere:') && type !== machineType && type !== groupType,
    ),
    isUnfinished,
    portGroup: readPortGroup(deployment),
    isLinked: isRecord(clone) && clone['linkedClone'] === true,
    tags: Array.isArray(tags) ? tags.filter((tag) => typeof tag === 'string') : [],
    attributeKeys: isRecord(customAttributes) ? Object.keys(customAttributes) : [],
  };
}

/** Providers have types of their own ("pulumi:providers:vsphere"); what a program only reads is in no state by an id. */
function readResource(record: Record<string, unknown>): (StackResource & { type: string })[] {
  const { urn, id, type, external } = record;
  if (typeof urn !== 'string' || typeof type !== 'string' || typeof id !== 'string') return [];
  return id === '' || external === true ? [] : [{ urn, id, type }];
}

/** As `pulumi state protect` does it. */
export async function protectInState(stack: Stack, urn: string): Promise<void> {
  const state = await stack.exportStack();
  const resource = recordsOf(state.deployment, 'resources').find((one) => one['urn'] === urn);
  if (resource === undefined || resource['protect'] === true) return;
  resource['protect'] = true;
  await stack.importStack(state);
}

/** What the program of a stack gave out; empty before it ran to its end. */
export function readStackOutputs({ deployment }: Pick<Deployment, 'deployment'>): Record<string, unknown> {
  const stack = recordsOf(deployment, 'resources').find(({ type }) => type === 'pulumi:pulumi:Stack');
  return isRecord(stack?.['outputs']) ? stack['outputs'] : {};
}

/** As the engine marks values that it encrypted, anywhere inside. */
export function isSecret(value: unknown): boolean {
  return JSON.stringify(value)?.includes('"4dabf18193072939515e22adb298388d"') === true;
}

function readPortGroup(deployment: unknown): StackPortGroup | undefined {
  const made = recordsOf(deployment, 'resources').find(
    ({ type, id }) => type === groupType && id !== undefined,
  );
  const outputs = isRecord(made?.['outputs']) ? made['outputs'] : {};
  const { name, hostSystemId: host, vlanId: vlan } = outputs;
  if (typeof name !== 'string' || typeof host !== 'string') return undefined;
  return { name, host, vlan: typeof vlan === 'number' ? vlan : 0 };
}

function recordsOf(value: unknown, key: string): Record<string, unknown>[] {
  const list = isRecord(value) ? value[key] : undefined;
  return Array.isArray(list) ? list.filter(isRecord) : [];
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null;
}
