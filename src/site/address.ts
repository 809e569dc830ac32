import type { DatabaseAddress } from '../databases/database.ts';
import { ClonaError } from '../errors.ts';
import { resolveSecret, showSecretRef } from './secret.ts';
import type { Site } from './site.ts';

const defaultPorts = { postgres: 5432, oracle: 1521 };

/**
 * Where production's database is by the site file, its password resolved now. Undefined: the site file gives no
 * address, the database is the one that the live machine names itself (MachineFacts).
 */
export async function resolveDatabaseAddress(
  database: Site['database'],
): Promise<DatabaseAddress | undefined> {
  const { engine } = database;
  const oracle = await resolveOracle(database);
  if (database.url !== undefined) {
    return { ...parseUrl(engine, await resolveSecret(database.url), showSecretRef(database.url)), ...oracle };
  }
  if (database.host === undefined && database.oracle?.connectString === undefined) return undefined;
  return {
    ...oracle,
    engine,
    host: database.host ?? '',
    port: database.port ?? defaultPorts[engine],
    database: database.name ?? (engine === 'postgres' ? 'postgres' : ''),
    user: database.user ?? (engine === 'postgres' ? 'postgres' : ''),
    password: database.password === undefined ? undefined : await resolveSecret(database.password),
  };
}

async function resolveOracle({ oracle }: Site['database']): Promise<Pick<DatabaseAddress, 'oracle'>> {
  if (oracle === undefined) return {};
  const { connectString, wallet, walletPassword, privilege, timeZone } = oracle;
  return {
    oracle: {
      connectString,
      walletDir: wallet,
      walletPassword: walletPassword === undefined ? undefined : await resolveSecret(walletPassword),
      privilege,
      timeZone,
    },
  };
}

/** `from` names the place of the secret; its content never gets into a message. */
function parseUrl(engine: 'postgres' | 'oracle', text: string, from: string): DatabaseAddress {
  const wrong = (what: string): ClonaError =>
    new ClonaError('siteInvalid', `the database address in ${from} ${what}`, {
      hint: `write it as ${engine === 'postgres' ? 'postgresql' : 'oracle'}://user:password@host:port/name`,
    });
  if (!URL.canParse(text)) throw wrong('is no URL');
  const url = new URL(text);
  try {
    for (const part of [url.hostname, url.pathname, url.username, url.password]) decodeURIComponent(part);
  } catch {
    throw wrong('has a % that is no %XX: write %25 for it');
  }
  if (!/^(?:postgres|postgresql|oracle):$/.test(url.protocol)) throw wrong('is of no known kind');
  if (url.protocol.startsWith('oracle') !== (engine === 'oracle')) {
    throw wrong(`is not for the engine ${engine}`);
  }
  // libpq's way to name the folder of a Unix socket.
  const host = url.searchParams.get('host') ?? decodeURIComponent(url.hostname).replace(/^\[|\]$/g, '');
  if (host === '') throw wrong('names no host');
  return {
    engine,
    host,
    port: url.port === '' ? defaultPorts[engine] : Number(url.port),
    database: decodeURIComponent(url.pathname.slice(1)) || (engine === 'postgres' ? 'postgres' : ''),
    user:
      decodeURIComponent(url.username) ||
      url.searchParams.get('user') ||
      (engine === 'postgres' ? 'postgres' : ''),
    password: decodeURIComponent(url.password) || url.searchParams.get('password') || undefined,
    sslMode: readSslMode(url.searchParams.get('sslmode'), wrong),
  };
}

/** libpq's words. Its half measures (allow, prefer, verify-ca) are taken as the whole ones: encryption asked for is kept. */
function readSslMode(text: string | null, wrong: (what: string) => ClonaError): DatabaseAddress['sslMode'] {
  if (text === null || text === 'disable') return undefined;
  if (['allow', 'prefer', 'require'].includes(text)) return 'require';
  if (['verify-ca', 'verify-full'].includes(text)) return 'verify-full';
  throw wrong(`asks for an unknown sslmode`);
}
