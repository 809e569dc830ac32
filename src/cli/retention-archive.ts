import { userInfo } from 'node:os';
import { stat } from 'node:fs/promises';
import { backupFolder, openArchive, type Archive } from '../archive/repository.ts';
import { removePin, writePin, type Pin } from '../archive/pins.ts';
import { applyRemoval } from '../databases/postgres/apply-removal.ts';
import { readArchive } from '../databases/postgres/catalog.ts';
import { refuseLostIncarnations } from '../databases/postgres/catalog-histories.ts';
import { addLiveFacts } from '../databases/postgres/catalog-live.ts';
import { ClonaError } from '../errors.ts';
import { withProgress } from '../progress.ts';
import type { Catalog } from '../recovery/catalog.ts';
import type { Policy } from '../retention/policy.ts';
import type { RemovalStep } from '../retention/removal.ts';
import type { Site } from '../site/site.ts';
import { findLive } from './read-catalog.ts';
import type { OptionValues, VerbContext, VerbResult } from './verb.ts';

/** An archive whose keeping is decided and done, with or without a site around it. */
export interface Keeping extends AsyncDisposable {
  catalog: Catalog;
  /** The site's; undefined without a site. */
  policy: Policy | undefined;
  apply: (steps: readonly RemovalStep[]) => Promise<void>;
  pin: (label: unknown, unpin: unknown, why: unknown) => Promise<VerbResult>;
}

type Record = (kind: string, payload: { [key: string]: string }) => Promise<void>;

interface Places {
  archiveDir: string;
  mirrorDir: string | undefined;
}

/** By `--archive` alone, or by the site: then LIVE says which incarnation is CURRENT, and every removal is evidence. */
export async function openKeeping(context: VerbContext, options: OptionValues): Promise<Keeping> {
  const { archive, mirror } = options;
  if (typeof archive === 'string') {
    const places = { archiveDir: archive, mirrorDir: typeof mirror === 'string' ? mirror : undefined };
    const { catalog } = await readArchive(places, context.signal);
    return keepingOf(
      context,
      places,
      catalog,
      undefined,
      async () => {},
      async () => {},
    );
  }
  const changes = options['apply'] === true || options['pin'] !== undefined || options['unpin'] !== undefined;
  return openSiteKeeping(context, changes);
}

async function openSiteKeeping(context: VerbContext, changes: boolean): Promise<Keeping> {
  const { loadSite } = await import('../site/load.ts');
  const site = await loadSite(context.sitePath);
  const places = { archiveDir: site.archive.location, mirrorDir: site.archive.mirror };
  if (!changes) {
    const catalog = await readSiteCatalog(site, places, context.signal);
    return keepingOf(
      context,
      places,
      catalog,
      site.archive.retention,
      async () => {},
      async () => {},
    );
  }
  const { accountName, openSite } = await import('../pipeline/open-site.ts');
  const { acquireSiteLock } = await import('../control/lock.ts');
  await using stack = new AsyncDisposableStack();
  const opened = stack.use(await openSite(context.sitePath, context.signal));
  // Before the catalog is read: a backup or the guard of the zones would change what is decided on.
  stack.use(await acquireSiteLock(opened.control, { who: accountName(), what: 'retention' }, new Date()));
  const catalog = await readSiteCatalog(site, places, context.signal);
  const owned = stack.move();
  const run = `retention-${new Date().toISOString()}`;
  const record: Record = async (kind, payload) => {
    await opened.ledger.append({ kind, run, key: null, payload }, new Date());
  };
  return keepingOf(context, places, catalog, site.archive.retention, record, async () =>
    owned.disposeAsync(),
  );
}

async function readSiteCatalog(site: Site, places: Places, signal: AbortSignal): Promise<Catalog> {
  const { catalog, header } = await readArchive(places, signal);
  return addLiveFacts(catalog, await findLive(site, signal), signal, header.systemIdentifier);
}

function keepingOf(
  context: VerbContext,
  places: Places,
  catalog: Catalog,
  policy: Policy | undefined,
  record: Record,
  close: () => Promise<void>,
): Keeping {
  return {
    catalog,
    policy,
    apply: async (steps) => {
      refuseLostIncarnations(catalog.incarnations);
      const archives = await openBoth(places);
      await withProgress(context.onProgress, 'remove what is obsolete', async () =>
        applyRemoval({
          archives,
          steps,
          signal: context.signal,
          onStep: async (step) => record('removed', describeStep(step)),
        }),
      );
    },
    pin: async (label, unpin, why) => {
      const by = userInfo().username;
      const archives = await openBoth(places);
      const wanted = typeof label === 'string' ? label : unpin;
      if (typeof wanted !== 'string') throw new ClonaError('usage', 'give --pin LABEL or --unpin LABEL');
      if (!catalog.backups.some((backup) => backup.label === wanted))
        throw new ClonaError('questionInvalid', `there is no backup "${wanted}" in the archive`);
      if (typeof label === 'string') {
        const pin = { by, why: typeof why === 'string' ? why : '', at: new Date().toISOString() };
        await pinEverywhere(archives, label, pin);
        await record('pinned', { label, by, why: pin.why });
        return { json: { pinned: label }, human: `${label} is pinned: it is kept until somebody unpins it` };
      }
      for (const archive of archives) await removePin(archive, wanted);
      await record('unpinned', { label: wanted, by });
      return { json: { unpinned: wanted }, human: `${wanted} is left to the policy again` };
    },
    [Symbol.asyncDispose]: close,
  };
}

/** Where the backup lies: one place may lack it. */
async function pinEverywhere(
  archives: readonly Archive[],
  label: string,
  pin: Omit<Pin, 'format'>,
): Promise<void> {
  for (const archive of archives) {
    const isHere = (await stat(backupFolder(archive, label)).catch(() => undefined)) !== undefined;
    if (isHere) await writePin(archive, label, pin);
  }
}

async function openBoth({ archiveDir, mirrorDir }: Places): Promise<Archive[]> {
  const archive = await openArchive(archiveDir);
  return mirrorDir === undefined ? [archive] : [archive, await openArchive(mirrorDir)];
}

function describeStep(step: RemovalStep): { [key: string]: string } {
  if (step.kind === 'backup') return { backup: step.label, reason: step.reason };
  const { incarnation, thread, sequence } = step.log;
  return { log: `${incarnation}/${thread}/${sequence}`, reason: step.reason };
}
