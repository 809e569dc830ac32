import { ClonaError } from '../errors.ts';
import type { Catalog } from '../recovery/catalog.ts';
import type { Site } from '../site/site.ts';
import type { Production } from './check.ts';
import type { OracleFacts } from './oracle-facts.ts';

export interface OpenProduction extends AsyncDisposable {
  get: () => Promise<Production>;
}

/** One session with production for all checks, opened at the first question and closed at the end. */
export function openProductionLate(site: Site, signal: AbortSignal): OpenProduction {
  let opening: Promise<Production> | undefined;
  return {
    get: () => (opening ??= open(site, signal)),
    [Symbol.asyncDispose]: async () => {
      const opened = await opening?.catch(() => undefined);
      await opened?.connection[Symbol.asyncDispose]();
    },
  };
}

/** What an Oracle production says, read at the first question, on a session that is closed again at once. */
export function readOracleLate(site: Site, signal: AbortSignal): () => Promise<OracleFacts> {
  let reading: Promise<OracleFacts> | undefined;
  return () => (reading ??= readOracle(site, signal));
}

async function readOracle(site: Site, signal: AbortSignal): Promise<OracleFacts> {
  const { findProduction } = await import('../pipeline/production.ts');
  const { readOracleFacts } = await import('./oracle-facts.ts');
  const facts = await readOracleFacts(await findProduction(site, signal), signal);
  return { ...facts, catalog: await withRemembered(facts.catalog, site, signal) };
}

/** Backups that RMAN did not make, and those the control file has forgotten. Where nothing can be read that is the archive's to tell. */
async function withRemembered(live: Catalog, { archive }: Site, signal: AbortSignal): Promise<Catalog> {
  const { recallOracle } = await import('../databases/oracle/site-catalog.ts');
  const { mergeRemembered } = await import('../databases/oracle/remember.ts');
  const places = { archiveDir: archive.location, mirrorDir: archive.mirror };
  const known = await recallOracle(places, signal).catch(() => undefined);
  signal.throwIfAborted();
  return known === undefined ? live : mergeRemembered(live, known.catalog).catalog;
}

async function open(site: Site, signal: AbortSignal): Promise<Production> {
  const { findProduction } = await import('../pipeline/production.ts');
  const address = await findProduction(site, signal);
  if (address.engine !== 'postgres') {
    throw new ClonaError('databaseVersion', 'the settings of PostgreSQL are asked of another engine');
  }
  const { connect } = await import('../databases/postgres/connect.ts');
  const connection = await connect(address, signal, { applicationName: 'clona doctor', timeoutMs: 5000 });
  return { address, connection };
}
