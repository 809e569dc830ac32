import { ClonaError } from '../errors.ts';
import type { OpenedSite } from './open-site.ts';
import type { Operations } from './operations.ts';

/** The operations of a site's platform and engine. */
export async function createOperations({ site }: OpenedSite): Promise<Operations> {
  throw new ClonaError('usage', `the pipeline does not know the platform ${site.machines.platform} yet`);
}
