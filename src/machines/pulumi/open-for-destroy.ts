import type { Stack } from '@pulumi/pulumi/automation/index.js';
import type { LiveStagingArgs } from '../../../infra/staging-args.ts';
import { removeUnfinished } from './guard-creation.ts';
import type { StagingOptions } from './staging-options.ts';
import { openVsphereStack, releaseBase } from './vsphere-stack.ts';
import { openStack } from './workspace.ts';

export interface OpenedForDestroy {
  stack: Stack;
  /** Its machine was deleted by hand: the engine has to look first, or the provider fails on what is gone. */
  refresh: boolean;
  /** After the destroy: what a killed run left, which no state knows. */
  cleanUp: () => Promise<void>;
}

export async function openForDestroy(
  options: StagingOptions,
  args: LiveStagingArgs | undefined,
): Promise<OpenedForDestroy> {
  const nothing = async (): Promise<void> => {};
  if (args?.vsphere === undefined) {
    const { stack } = await openStack(options.name, nothing, options);
    return { stack, refresh: false, cleanUp: nothing };
  }
  const own = { ...args, vsphere: args.vsphere };
  const { stack, note, known, isThere } = await openVsphereStack(options, own, nothing, true);
  const { id, isUnfinished } = known;
  return {
    stack,
    refresh: id !== undefined && !isThere,
    cleanUp: async () => {
      if (isUnfinished) {
        await removeUnfinished(options, own);
        await note.remove();
      }
      if (own.vsphere.clone === 'linked' || known.isLinked) await releaseBase(options, own);
    },
  };
}
