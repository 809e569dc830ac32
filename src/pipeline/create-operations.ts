import type { OpenedSite } from './open-site.ts';
import type { Operations } from './operations.ts';
import type { StagingEngine } from './local/staging-machine.ts';

/** The operations of a site's platform and engine. `direct` is the demo's way where no Pulumi engine can be had. */
export async function createOperations(
  { site }: Pick<OpenedSite, 'site'>,
  options: { engine?: StagingEngine; note?: (line: string) => void } = {},
): Promise<Operations> {
  const { openAccess } = await import('./local/access.ts');
  const { createLiveOperations } = await import('./local/live-operations.ts');
  const { createMachineOperations } = await import('./local/machine-operations.ts');
  const { createStagingOperations } = await import('./local/staging-operations.ts');
  const access = openAccess(site);
  const note = options.note ?? ((line: string): void => void process.stderr.write(`${line}\n`));
  return {
    ...createLiveOperations(access),
    ...createMachineOperations(access, note),
    ...createStagingOperations(access, options.engine ?? 'pulumi'),
  };
}
