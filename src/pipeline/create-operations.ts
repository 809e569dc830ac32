import type { OpenedSite } from './open-site.ts';
import type { Operations } from './operations.ts';
import type { StagingEngine } from './local/staging-machine.ts';
import type { SiteAccess } from './machine/access.ts';

/** The operations of a site's platform and engine. `direct` is the demo's way where no Pulumi engine can be had. */
export async function createOperations(
  { site }: Pick<OpenedSite, 'site'>,
  options: { engine?: StagingEngine; note?: (line: string) => void } = {},
): Promise<Operations> {
  const { openAccess } = await import('./open-access.ts');
  return operationsOn(await openAccess(site, options.engine), options.note);
}

/** The operations over machines that are given: of a site's platform, or of a test's. */
export async function operationsOn(
  access: SiteAccess,
  note: (line: string) => void = (line) => void process.stderr.write(`${line}\n`),
): Promise<Operations> {
  const { createSharedOperations } = await import('./machine/shared-operations.ts');
  const shared = createSharedOperations(access, note);
  if (access.site.database.engine === 'oracle') {
    const { createOracleOperations } = await import('./oracle/operations.ts');
    return { ...shared, ...createOracleOperations(access) };
  }
  const { createLiveOperations } = await import('./postgres/live-operations.ts');
  const { createMachineOperations } = await import('./postgres/machine-operations.ts');
  const { createStagingOperations } = await import('./postgres/staging-operations.ts');
  return {
    ...shared,
    ...createLiveOperations(access),
    ...createMachineOperations(access),
    ...createStagingOperations(access),
  };
}
