import type { DatabaseAddress } from '../databases/database.ts';
import { ClonaError } from '../errors.ts';
import { resolveDatabaseAddress } from '../site/address.ts';
import type { Site } from '../site/site.ts';
import type { Production } from './check.ts';

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

async function open(site: Site, signal: AbortSignal): Promise<Production> {
  const address = await findProduction(site, signal);
  if (address.engine !== 'postgres') {
    throw new ClonaError('databaseVersion', 'doctor knows the settings of PostgreSQL only, so far');
  }
  const { connect } = await import('../databases/postgres/connect.ts');
  const connection = await connect(address, signal, { applicationName: 'clona doctor', timeoutMs: 5000 });
  return { address, connection };
}

/** Where production's database is: by the site file, else by what its live machine says. */
export async function findProduction(site: Site, signal: AbortSignal): Promise<DatabaseAddress> {
  return (await resolveDatabaseAddress(site.database)) ?? askMachine(site, signal);
}

/** A site that gives no address means the database on its live machine, which says itself where that is. */
async function askMachine(site: Site, signal: AbortSignal): Promise<DatabaseAddress> {
  const { platform, root, live } = site.machines;
  if (platform !== 'local') {
    throw new ClonaError('siteInvalid', `nothing says where the database of ${live.name} is`, {
      hint: 'give database.url, or database.host and its companions',
    });
  }
  const { openLocalMachines } = await import('../machines/local/local-machines.ts');
  return (await openLocalMachines({ root }).describe(live.name, signal)).database;
}
