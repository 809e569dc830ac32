import type { OpenedSite } from './open-site.ts';
import type { Operations } from './operations.ts';
import type { StagingEngine } from './local/staging-machine.ts';

/** The operations of a site's platform and engine. `direct` is the demo's way where no Pulumi engine can be had. */
export async function createOperations(
  { site }: Pick<OpenedSite, 'site'>,
  options: { engine?: StagingEngine; note?: (line: string) => void } = {},
): Promise<Operations> {
  const { openAccess } = await import('./open-access.ts');
  const { createLiveOperations } = await import('./machine/live-operations.ts');
  const { createMachineOperations } = await import('./machine/machine-operations.ts');
  const { createStagingOperations } = await import('./machine/staging-operations.ts');
  const access = await openAccess(site, options.engine);
  const note = options.note ?? ((line: string): void => void process.stderr.write(`${line}\n`));
  return {
    ...createLiveOperations(access),
    ...createMachineOperations(access, note),
    ...createStagingOperations(access),
  };
}
