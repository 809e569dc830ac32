import { askCounts } from '../../databases/oracle/counts.ts';
import { dropCloneUser } from '../../databases/oracle/import/clone-schema.ts';
import type { SchemaImportReport } from '../../databases/oracle/import/import.ts';
import { proveByValidate } from '../../databases/oracle/prove.ts';
import { proveCopies } from '../../databases/oracle/prove-copies.ts';
import { rememberGrade } from '../../databases/oracle/site-catalog.ts';
import { compareAnswers } from '../../databases/postgres/prove/compare-counts.ts';
import { ClonaError } from '../../errors.ts';
import { withMachine, type MachineAccess, type SiteAccess } from '../machine/access.ts';
import { findCounts, findOpened, nothingCounted, sayFinding, type Finding } from '../machine/findings.ts';
import type { Bearing, Proof, Step } from '../operations.ts';
import { importNewest } from '../prove-import.ts';
import { withCloneAdmin } from './clone-admin.ts';
import { exportAndImport } from './export-and-import.ts';
import { placesOf, readAndRemember } from './places.ts';
import { sysdbaOn, withSession, withTools } from './sessions.ts';

interface Subject {
  access: SiteAccess;
  machine: MachineAccess;
  backup: string;
  expected: Bearing;
  step: Step;
}

/**
 * Grades 1 to 5 of the backup that staging was restored from (R15). The first that fails ends it: a grade includes those before
 * it. The grade is remembered beside the control file, which knows none, also where it is lower than before.
 */
export async function proveStaging(
  access: SiteAccess,
  name: string,
  backup: string,
  expected: Bearing,
  step: Step,
): Promise<Proof> {
  return withMachine(access, name, step.signal, async (machine) => {
    const subject = { access, machine, backup, expected, step };
    const findings: Finding[] = [];
    for (const look of [proveFiles, proveOpened, proveRows, proveCounts]) {
      findings.push(...[await look(subject)].flat());
      if (findings.at(-1)?.passed !== true) break;
    }
    const grade = findings.reduce((best, one) => (one.passed ? one.grade : best), 0);
    await rememberGrade(placesOf(access.site), backup, grade, step.signal);
    return { backup, grade, provenAt: new Date().toISOString(), findings: findings.map(sayFinding) };
  });
}

/** Every block and every log, read by RMAN on LIVE's machine; copies that RMAN did not make by their checksums. */
async function proveFiles({ access, backup, step }: Subject): Promise<Finding[]> {
  const { site } = access;
  const { signal } = step;
  return withMachine(access, 'live', signal, async (live) => {
    const { catalog, facts } = await readAndRemember(site, live, signal);
    const copies = facts.copies?.[backup]?.files;
    if (copies?.some(({ sha256 }) => sha256 === undefined) === true)
      return [{ grade: 2, passed: true, said: 'copies without checksums, read whole by the restore' }];
    const isCopy = copies !== undefined;
    const { grade, passed, reasons } = isCopy
      ? await proveCopies(catalog, facts, backup, signal)
      : await withTools(site, live, `${step.key}/validate`, signal, async (tools) =>
          proveByValidate(tools, catalog, backup),
        );
    const read = isCopy ? 'every copy matches its checksum' : 'RMAN read every block and every log';
    const why = reasons.join('; ');
    if (!passed) return [{ grade: 1, passed, said: why }];
    if (grade === 2) return [{ grade, passed, said: read }];
    return [
      { grade: 1, passed, said: 'every block was read' },
      { grade: 2, passed: false, said: why },
    ];
  });
}

async function proveOpened({ expected }: Subject): Promise<Finding> {
  return findOpened(expected.position);
}

/** R23: the copy holds what masking would hide, so it goes right after the proof. */
async function proveRows({ access, machine, step }: Subject): Promise<Finding> {
  const { site } = access;
  const { signal, onProgress } = step;
  const wanted = site.database.oracle?.import;
  return withTools(site, machine, `${step.key}/import`, signal, async (tools) =>
    withCloneAdmin(machine, tools, async (address) => {
      const label = step.key;
      const imported =
        wanted === undefined
          ? exportAndImport({ site, machine, tools, address, label, signal, onProgress })
          : importFromSite({ address, wanted, label, signal, onProgress });
      const report = await imported.catch(failedProof);
      if (typeof report === 'string') return { grade: 4, passed: false, said: report };
      for (const pair of report.schemas) await sysdbaOn(tools).execute(dropCloneUser(pair));
      return judge(report, wanted === undefined ? 'restored' : "of the site's newest export");
    }),
  );
}

/** What was imported is no good: a finding. Everything else (a broken connection, a full disk) is no answer. */
function failedProof(error: unknown): string {
  if (error instanceof ClonaError && (error.exitCode === 4 || error.kind === 'archiveAbsent'))
    return error.message;
  throw error;
}

async function importFromSite(
  options: Pick<Parameters<typeof importNewest>[0], 'address' | 'wanted' | 'label' | 'signal' | 'onProgress'>,
): Promise<SchemaImportReport> {
  const { report } = await importNewest({ ...options, before: undefined, original: undefined });
  return report;
}

function judge({ passed, rows, tables, constraints, findings }: SchemaImportReport, what: string): Finding {
  const failed = findings.filter(({ severity }) => severity === 'failed');
  const said = passed
    ? `${rows} rows of ${tables} tables ${what} imported, ${constraints} constraints validated`
    : failed
        .slice(0, 5)
        .map(({ object, text }) => `${object} ${text}`)
        .join('; ');
  return { grade: 4, passed, said };
}

async function proveCounts({ access, machine, expected, step }: Subject): Promise<Finding> {
  const { taken } = expected;
  if (taken === null || taken.counts.length === 0) return nothingCounted;
  const answers = await withSession(machine, step.signal, async (session) =>
    askCounts(session, access.site.database.businessCounts),
  );
  return findCounts(compareAnswers(taken, answers));
}
