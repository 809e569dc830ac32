import { ClonaError } from '../../../errors.ts';
import type { DumpSet } from './dump-set.ts';

/** What the server that imports is and has. */
export interface ImportServer {
  /** 19.21.0.0.0, and COMPATIBLE, which decides what dumps it reads. */
  version: string;
  compatible: string | null;
  /** AL32UTF8, WE8MSWIN1252 … */
  characterSet: string | null;
}

export interface DumpDecision {
  /** Said, and kept in evidence. */
  warnings: string[];
}

/**
 * Whether this dump can be imported here, before anything is created. Throws with the exit code of the verb: an incomplete set is
 * a failed proof (4), a key that is missing and a version that is too new are configuration (2). Pure.
 */
export function decideDump(
  set: DumpSet,
  server: ImportServer,
  given: { encryptionPassword: boolean; acceptCharacterLoss?: boolean | undefined },
): DumpDecision {
  const name = set.files.map((file) => file.name).join(', ');
  if (!set.complete) {
    throw new ClonaError('proofFailed', `the dump set ${name} is incomplete: ${set.problems.join('; ')}`, {
      hint: 'find the missing part on the machine that exported, or prove an older export',
      details: { guid: set.guid, problems: set.problems },
    });
  }
  const newest = set.files.map((file) => file.databaseVersion).find((version) => version !== null) ?? null;
  requireVersion(name, newest, server);
  const encryption = set.files.find((file) => file.encryption !== 'none')?.encryption;
  if ((encryption === 'password' || encryption === 'unknown') && !given.encryptionPassword) {
    throw new ClonaError('secretMissing', `the dump ${name} is encrypted and no password is given for it`, {
      hint: 'give the ENCRYPTION_PASSWORD of the export as env:NAME or file:PATH',
    });
  }
  const warnings: string[] = [];
  if (encryption === 'wallet') {
    warnings.push(`${name} opens only with the keystore of production: it must be open on this server`);
  }
  const from = set.files.find((file) => file.characterSet !== null)?.characterSet ?? null;
  if (from !== null && server.characterSet !== null && losesCharacters(from, server.characterSet)) {
    const said = `the dump is in ${from}, this database in ${server.characterSet}: letters that it lacks become replacement signs`;
    // No count and no error would ever tell: grade 4 says that every row arrived (R15).
    if (given.acceptCharacterLoss !== true) {
      throw new ClonaError('serverUnfit', said, {
        hint: `import into a database in ${from}, or say acceptCharacterLoss: true and have it told with every proof`,
        details: { dump: from, server: server.characterSet },
      });
    }
    warnings.push(said);
  }
  return { warnings };
}

function requireVersion(name: string, found: string | null, { version, compatible }: ImportServer): void {
  const limit = compatible ?? version;
  if (found === null || compareVersions(found, limit) <= 0) return;
  throw new ClonaError(
    'databaseVersion',
    `the dump ${name} is of version ${tidyVersion(found)}, this server reads up to ${tidyVersion(limit)}`,
    {
      hint: `export with VERSION=${tidyVersion(limit)}, or import into a newer server${compatible !== null && compareVersions(found, version) <= 0 ? ' (COMPATIBLE could be raised, but that cannot be taken back)' : ''}`,
      details: { dump: found, server: version, compatible },
    },
  );
}

/** By the first two numbers: dumps of one release read each other whatever their update. */
export function compareVersions(left: string, right: string): number {
  const [a, b] = [left, right].map((text) => text.split('.').map(Number));
  for (const index of [0, 1]) {
    const difference = (a?.[index] ?? 0) - (b?.[index] ?? 0);
    // From 18 on the second number is an update, not a release.
    if (difference !== 0 && (index === 0 || (a?.[0] ?? 0) < 18)) return difference;
  }
  return 0;
}

function tidyVersion(version: string): string {
  const [major, minor] = version.split('.').map(Number);
  return `${major ?? 0}.${minor ?? 0}`;
}

/** Unicode takes everything; a dump in Unicode, or in another alphabet, loses in a smaller one. */
export function losesCharacters(from: string, to: string): boolean {
  const [a, b] = [from, to].map((name) => name.toUpperCase().replace(/\s.*$/, ''));
  if (a === b || a === 'US7ASCII' || b === 'AL32UTF8' || b === 'UTF8') return false;
  const supersets: Readonly<Record<string, readonly string[]>> = {
    WE8ISO8859P1: ['WE8MSWIN1252', 'WE8ISO8859P15'],
    ZHS16CGB231280: ['ZHS16GBK', 'ZHS32GB18030'],
    ZHS16GBK: ['ZHS32GB18030'],
    KO16KSC5601: ['KO16MSWIN949'],
    JA16SJIS: ['JA16SJISTILDE'],
  };
  return !(supersets[a ?? '']?.includes(b ?? '') ?? false);
}
