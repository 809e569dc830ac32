import { ClonaError } from '../../../errors.ts';
import type { OnProgress } from '../../../progress.ts';
import type { JobLogJudgement } from '../../../proof/job-log.ts';
import type { DatabaseAddress } from '../../database.ts';
import { connectOracle, type OracleSession } from '../connect.ts';
import { quoteName } from '../rman-text.ts';
import type { SchemaPair } from './clone-schema.ts';
import { decideCode, readCode, type LiveNamePolicy } from './code-objects.ts';
import {
  compareConstraints,
  compareInvalid,
  compareRows,
  failed,
  judgeRights,
  warning,
  type ConstraintFact,
  type ImportFinding,
  type InvalidObject,
} from './compare.ts';
import { countRows, readConstraints, readInvalid, readRights } from './read-schema.ts';

export interface BeforeFacts {
  constraints: ConstraintFact[];
  invalid: InvalidObject[];
}

interface Where {
  address: DatabaseAddress;
  before?: DatabaseAddress | undefined;
  liveNames: LiveNamePolicy;
  signal: AbortSignal;
  onProgress: OnProgress;
}

/**
 * The schemas as they were exported, where there is a database that holds them. Code that names LIVE is refused here already, before
 * anything is created: an import of hours need not find it out.
 */
export async function readBefore(
  { before, liveNames, signal }: Where,
  pairs: readonly SchemaPair[],
): Promise<Map<string, BeforeFacts>> {
  const facts = new Map<string, BeforeFacts>();
  if (before === undefined) return facts;
  await using session = await connectOracle(before, signal, { module: 'clona import' });
  const refused: ImportFinding[] = [];
  for (const pair of pairs) {
    const { live } = pair;
    facts.set(live, {
      constraints: await readConstraints(session, live),
      invalid: await readInvalid(session, live),
    });
    // In its own schema what an object points to is LIVE by nature: only words count here.
    const { objects } = await readCode(session, live, live);
    refused.push(...decideCode(pair, { objects, pointers: [] }, liveNames).findings);
  }
  const bad = refused.filter(({ severity }) => severity === 'failed');
  if (bad.length > 0) throw liveNameError(bad);
  return facts;
}

export function liveNameError(findings: readonly ImportFinding[]): ClonaError {
  const [first] = findings;
  return new ClonaError(
    'proofFailed',
    `${findings.length} objects name LIVE's schema outright, first ${first?.object}: ${first?.text}`,
    {
      hint: 'the copy must not write LIVE (R21): have the vendor leave the name out, let clona rewrite it (liveNames: rewrite), or accept objects by name once somebody has read them',
      details: { findings },
    },
  );
}

export interface Examination {
  tables: number;
  rows: bigint;
  constraints: number;
  rewritten: string[];
  findings: ImportFinding[];
}

/** After the import: names of LIVE, rows, constraints, invalid objects; in this order, because a rewrite makes objects valid. */
export async function examineClone(options: {
  options: Where;
  session: OracleSession;
  pair: SchemaPair;
  before: BeforeFacts | undefined;
  exported: JobLogJudgement;
}): Promise<Examination> {
  const { session, pair, before, exported, options: where } = options;
  const findings: ImportFinding[] = [];
  const rewritten = await mendLiveNames(where, session, pair, findings);
  await recompile(session, pair, findings);
  const rows = await countRows(session, pair.clone, (table, count) => {
    where.onProgress({ step: `count ${pair.clone}`, state: 'running', detail: `${table}: ${count}` });
  });
  findings.push(...compareRows(pair, exported, rows));
  const constraints = await readConstraints(session, pair.clone);
  findings.push(...compareConstraints(pair, before?.constraints, constraints));
  findings.push(...compareInvalid(before?.invalid, await readInvalid(session, pair.clone)));
  findings.push(
    ...judgeRights(pair, await readRights(session, pair.clone, pair.live), where.liveNames.accepted),
  );
  return {
    tables: Object.keys(rows).length,
    rows: Object.values(rows).reduce((sum, count) => sum + BigInt(count), 0n),
    constraints: constraints.length,
    rewritten,
    findings,
  };
}

/** What cannot be compiled for want of a privilege is no fault of the dump: what is invalid afterwards is judged in any case. */
async function recompile(session: OracleSession, pair: SchemaPair, findings: ImportFinding[]): Promise<void> {
  const sql = 'BEGIN DBMS_UTILITY.COMPILE_SCHEMA(schema => :owner, compile_all => FALSE); END;';
  try {
    await session.execute(sql, { owner: pair.clone });
  } catch (error) {
    // ORA-20000: insufficient privileges for an object in this schema (PL/SQL Packages and Types Reference, DBMS_UTILITY).
    if (!(error instanceof ClonaError) || !/ORA-20000|ORA-01031/.test(error.message)) throw error;
    findings.push(warning('invalid', pair.clone, `could not be compiled anew: ${error.message}`));
  }
}

/** Rewrites what may be rewritten, and looks again: what still points to LIVE is a finding, whatever the words say. */
async function mendLiveNames(
  where: Where,
  session: OracleSession,
  pair: SchemaPair,
  findings: ImportFinding[],
): Promise<string[]> {
  const columns = await readViewColumns(session, pair.clone);
  const decide = async () =>
    decideCode(
      pair,
      await readCode(session, pair.clone, pair.live),
      where.liveNames,
      (view) => columns.get(view) ?? [],
    );
  const first = await decide();
  if (first.rewrites.length === 0) {
    findings.push(...first.findings);
    return [];
  }
  const failures: ImportFinding[] = [];
  await using other = await connectOracle(where.address, where.signal, { module: 'clona import' });
  await other.execute(`ALTER SESSION SET CURRENT_SCHEMA = ${quoteName(pair.clone, 'the CLONA schema')}`);
  for (const { object, sql } of first.rewrites) {
    await other.execute(sql).catch((error: unknown) => {
      where.signal.throwIfAborted();
      failures.push(
        failed('live-name', object, `could not be rewritten: ${error instanceof Error ? error.message : ''}`),
      );
    });
  }
  const second = await decide();
  findings.push(...failures, ...second.findings);
  for (const { object } of second.rewrites) {
    if (failures.some((failure) => failure.object === object)) continue;
    findings.push(failed('live-name', object, `still names ${pair.live} after it was rewritten`));
  }
  return first.rewrites.map(({ object }) => object);
}

async function readViewColumns(session: OracleSession, owner: string): Promise<Map<string, string[]>> {
  const rows = await session.query(
    `SELECT c.TABLE_NAME, c.COLUMN_NAME FROM DBA_TAB_COLUMNS c JOIN DBA_VIEWS v ON v.OWNER = c.OWNER AND v.VIEW_NAME = c.TABLE_NAME
 WHERE c.OWNER = :owner ORDER BY c.TABLE_NAME, c.COLUMN_ID`,
    { owner },
    'reading DBA_TAB_COLUMNS',
  );
  const columns = new Map<string, string[]>();
  for (const [view, column] of rows) {
    if (view === null || view === undefined) continue;
    columns.set(view, [...(columns.get(view) ?? []), column ?? '']);
  }
  return columns;
}
