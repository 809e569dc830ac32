import type { Deployment } from '@pulumi/pulumi/automation/index.js';

/** What the state of a stack says of its virtual machine (apitype.DeploymentV3 of the engine). */
export interface StackMachine {
  /** The provider's id: the machine's UUID. Undefined: the stack has made none. */
  id: string | undefined;
  /** The engine was killed while it made one: what became of it nobody wrote down. */
  isUnfinished: boolean;
}

const machineType = 'vsphere:index/virtualMachine:VirtualMachine';

export function readStackMachine({ deployment }: Pick<Deployment, 'deployment'>): StackMachine {
  const resources = recordsOf(deployment, 'resources').filter(({ type }) => type === machineType);
  const id = resources.map((resource) => resource['id']).find((one) => typeof one === 'string' && one !== '');
  const isUnfinished = recordsOf(deployment, 'pending_operations').some(
    ({ type, resource }) => type === 'creating' && isRecord(resource) && resource['type'] === machineType,
  );
  return { id: typeof id === 'string' ? id : undefined, isUnfinished };
}

function recordsOf(value: unknown, key: string): Record<string, unknown>[] {
  const list = isRecord(value) ? value[key] : undefined;
  return Array.isArray(list) ? list.filter(isRecord) : [];
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null;
}
