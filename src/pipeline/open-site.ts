import { userInfo } from 'node:os';
import { join } from 'node:path';
import { openControl, type Control } from '../control/control.ts';
import { openLedger, type Ledger } from '../control/ledger.ts';
import type { HeadCopy } from '../control/ledger-copies.ts';
import { ClonaError } from '../errors.ts';
import type { OnProgress } from '../progress.ts';
import { resolveDatabaseAddress } from '../site/address.ts';
import { loadSite } from '../site/load.ts';
import type { Site } from '../site/site.ts';
import { createContext, type Context } from './context.ts';
import type { Operations } from './operations.ts';
import { policyOf } from './policy.ts';

export interface OpenedSite extends AsyncDisposable {
  site: Site;
  control: Control;
  ledger: Ledger;
}

/** A site's control database and ledger: all that verbs need which only read or write evidence. */
export async function openSite(sitePath: string, signal: AbortSignal): Promise<OpenedSite> {
  const site = await loadSite(sitePath);
  await using stack = new AsyncDisposableStack();
  const address =
    site.control.url === undefined
      ? undefined
      : await resolveDatabaseAddress({ ...site.database, engine: 'postgres', url: site.control.url });
  await refuseProduction(site, address);
  const control = stack.use(
    await openControl({ site: site.name, directory: site.control.directory, address, signal }),
  );
  const { location, mirror } = site.archive;
  const headCopies = [location, ...(mirror === undefined ? [] : [mirror])].map(headCopyIn);
  const ledger = await openLedger({ control, headCopies }, new Date());
  const owned = stack.move();
  return { site, control, ledger, [Symbol.asyncDispose]: async () => owned.disposeAsync() };
}

/** Where the ledger's signed head lies on an archive and on its mirror (R22). */
export function headCopyIn(archive: string): HeadCopy {
  return { path: join(archive, 'evidence', 'head.json'), beside: join(archive, 'clona-archive.json') };
}

/** Everything for a verb that changes something; `operations` default to those of the site's platform and engine. */
export async function openContext(options: {
  sitePath: string;
  signal: AbortSignal;
  onProgress: OnProgress;
  createOperations: (opened: OpenedSite) => Promise<Operations>;
}): Promise<Context> {
  const { sitePath, signal, onProgress, createOperations } = options;
  const opened = await openSite(sitePath, signal);
  try {
    const { site, control, ledger } = opened;
    const parts = {
      site: site.name,
      control,
      ledger,
      operations: await createOperations(opened),
      policy: policyOf(site),
      signal,
      onProgress,
      now: () => new Date(),
    };
    return createContext(parts, async () => opened[Symbol.asyncDispose]());
  } catch (error) {
    await opened[Symbol.asyncDispose]();
    throw error;
  }
}

/** Who runs this, when nobody is named. */
export function accountName(): string {
  return userInfo().username;
}

/** Control state never lives in the production database: a rollback would take it back too. */
async function refuseProduction(
  site: Site,
  control: Awaited<ReturnType<typeof resolveDatabaseAddress>>,
): Promise<void> {
  if (control === undefined) return;
  const production = await resolveDatabaseAddress(site.database).catch(() => undefined);
  const isSame =
    production?.host === control.host &&
    production.port === control.port &&
    production.database === control.database;
  if (!isSame) return;
  throw new ClonaError('siteInvalid', 'control.url is the production database', {
    hint: 'give another database, or leave control.url out for an embedded one',
  });
}
