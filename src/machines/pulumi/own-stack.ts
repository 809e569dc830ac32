import type { Stack } from '@pulumi/pulumi/automation/index.js';
import { ClonaError } from '../../errors.ts';
import { openVim, type Vim } from '../vsphere/client.ts';
import { sourcePath } from '../vsphere/prepare-clone.ts';
import { requireClone } from '../vsphere/require-clone.ts';
import type { VsphereArgs } from '../../../infra/staging-args.ts';
import { protectInState, type StackMachine, type StackResource } from './stack-state.ts';
import type { StagingOptions } from './staging-options.ts';

/**
 * Whether the machine of the state is there. Throws where the stack holds anything that clona did not make: the engine
 * would change it or delete it (R21), by our hand or by `pulumi destroy`, which asks no policy. For the latter it is
 * marked as protected in the state first; nothing but `pulumi destroy --ignore-protect` gets past that.
 */
export async function requireOwnStack(
  stack: Stack,
  { name, signal }: StagingOptions,
  { source, vsphere }: VsphereArgs,
  known: StackMachine,
  mayChange: boolean,
): Promise<boolean> {
  if (known.machines.length === 0 && known.foreign.length === 0) return false;
  await using vim = await openVim(vsphere.address, signal);
  const production = sourcePath({ source, places: vsphere.places });
  let isThere = false;
  for (const resource of [...known.foreign, ...known.machines]) {
    try {
      const found = await look(vim, { name, resource, known, production }, signal);
      if (resource.id === known.id) isThere = found;
    } catch (error) {
      signal.throwIfAborted();
      if (error instanceof ClonaError && error.kind === 'machineFailed' && mayChange)
        // Best effort, on the way out: another run may hold the stack.
        await protectInState(stack, resource.urn).catch(() => {});
      throw error;
    }
  }
  return isThere;
}

interface Asked {
  name: string;
  resource: StackResource;
  known: StackMachine;
  production: string;
}

async function look(
  vim: Vim,
  { name, resource, known, production }: Asked,
  signal: AbortSignal,
): Promise<boolean> {
  if (known.foreign.includes(resource)) {
    throw new ClonaError(
      'machineFailed',
      `the stack "${name}" holds ${resource.urn}, which clona did not make`,
      {
        hint: takeOut(resource),
        details: { urn: resource.urn },
      },
    );
  }
  return requireClone(vim, { stack: name, uuid: resource.id, production, hint: takeOut(resource) }, signal);
}

function takeOut({ urn }: StackResource): string {
  return `nothing was changed, and it is protected in the state now; take it out with: pulumi state delete --force '${urn}'`;
}
