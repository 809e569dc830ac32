import { ClonaError, toClonaError } from '../../../errors.ts';
import { withProgress, type OnProgress } from '../../../progress.ts';
import type { FenceFact, FenceReport, FenceRule } from '../../postgres/fence/fence.ts';
import type { OracleFenceContext, OracleFenceItem } from './item.ts';
import { oracleFenceItems } from './items.ts';
import { splitStatements } from './statements.ts';

export interface OracleFenceOptions extends OracleFenceContext {
  /** The site's own ways out: a statement or PL/SQL block, and a query whose first column is 1, Y or TRUE when it is cut off. */
  rules: readonly FenceRule[];
  /** For tests: the fence without one of its parts. */
  items?: readonly OracleFenceItem[];
  onProgress: OnProgress;
}

/**
 * Puts the fence up while nobody but us is let in (restricted session), tests all of it, and opens the database to people
 * only when every part holds. May be repeated; the report says what does not hold.
 */
export async function applyOracleFence(options: OracleFenceOptions): Promise<FenceReport> {
  const { session, onProgress, items = oracleFenceItems } = options;
  await session.execute('ALTER SYSTEM ENABLE RESTRICTED SESSION');
  for (const item of [...items, ...siteItems(options)]) {
    await withProgress(onProgress, `fence: ${item.name}`, async () => item.apply(options));
  }
  const report = await testOracleFence(options);
  if (report.fenced) await session.execute('ALTER SYSTEM DISABLE RESTRICTED SESSION');
  return report;
}

/** Tests the fence without touching it: before each opening, and whenever somebody wants to know. */
export async function testOracleFence(options: OracleFenceOptions): Promise<FenceReport> {
  const parts: FenceFact[] = [];
  // Always all of them, whatever was put up: a fence with a part left out is found here.
  for (const { name, findHoles } of [...oracleFenceItems, ...siteItems(options)]) {
    const holes = await findHoles(options);
    parts.push({ name, holds: holes.length === 0, holes });
  }
  return { fenced: parts.every(({ holds }) => holds), parts };
}

/** As `applyOracleFence`, for callers that go no further with a hole: throws `fenceFailed` naming every one. */
export async function requireOracleFence(options: OracleFenceOptions): Promise<FenceReport> {
  const report = await applyOracleFence(options);
  if (report.fenced) return report;
  const open = report.parts.filter(({ holds }) => !holds);
  const said = open.map(({ name, holes }) => `${name}: ${holes.join(', ')}`).join('; ');
  throw new ClonaError('fenceFailed', `the fence round the restored database has holes: ${said}`, {
    hint: 'the session stays restricted, nobody is let in; a static parameter needs a restart of the clone',
    details: { parts: open },
  });
}

function siteItems({ rules }: OracleFenceOptions): OracleFenceItem[] {
  return rules.map(({ name, sql, check }) => ({
    name,
    apply: async ({ session }) =>
      nameRule(name, 'sql', async () => {
        for (const statement of splitStatements(sql)) await session.execute(statement);
        // The driver commits nothing by itself, and its session's end would bring the way out back.
        await session.execute('COMMIT');
      }),
    findHoles: async ({ session }) =>
      nameRule(name, 'check', async () => {
        const [query, ...more] = splitStatements(check);
        if (query === undefined || more.length > 0 || !/^(?:SELECT|WITH)\b/i.test(query)) {
          throw new ClonaError('siteInvalid', 'it is to be one SELECT, whose first column tells', {});
        }
        const [row] = await session.query(query);
        return /^(?:1|Y|YES|TRUE)$/i.test(row?.[0] ?? '') ? [] : ['its check does not give 1, Y or TRUE'];
      }),
  }));
}

/** A rule that the server refuses is the site's to mend: which one it is must be in the error. */
async function nameRule<Result>(name: string, key: string, work: () => Promise<Result>): Promise<Result> {
  try {
    return await work();
  } catch (error) {
    const { kind, message, hint, details } = toClonaError(error);
    if (kind === 'interrupted' || kind === 'terminated') throw error;
    throw new ClonaError(kind, `${key} of "${name}" in staging.fence: ${message}`, {
      cause: error,
      hint,
      details,
    });
  }
}
