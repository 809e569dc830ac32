import { ClonaError, toClonaError, type ExitCode } from '../errors.ts';
import type { Patient } from '../doctor/check.ts';
import type { Diagnosis } from '../doctor/examine.ts';
import type { Verb, VerbContext, VerbResult } from './verb.ts';

export const verb: Verb = {
  configure: () => {},
  examples: ['clona doctor', 'clona doctor --site erp/clona.yaml --json'],
  exits: { 6: 'a machine, database, disk or network failed; 2 when only settings are to be mended' },
  run: doctor,
};

async function doctor(context: VerbContext): Promise<VerbResult> {
  const { examine, exitCodeOf, showDiagnoses } = await import('../doctor/examine.ts');
  const { checks } = await import('../doctor/checks.ts');
  const { openProductionLate, readOracleLate } = await import('../doctor/production.ts');
  const { loadSite } = await import('../site/load.ts');
  const { signal } = context;

  const site = await loadSite(context.sitePath).catch((thrown: unknown) => toClonaError(thrown));
  if (site instanceof ClonaError) return showWithoutSite(context, site);

  await using production = openProductionLate(site, signal);
  const oracle = readOracleLate(site, signal);
  const patient: Patient = { site, signal, now: new Date(), production: production.get, oracle };
  const found = await examine(patient, checks);
  return answer(found, exitCodeOf(found), showDiagnoses(found));
}

/** Without a site file that can be read there is one thing to mend first; it is a finding like the others. */
async function showWithoutSite(context: VerbContext, error: ClonaError): Promise<VerbResult> {
  if (error.exitCode !== 2) throw error;
  const { showDiagnoses } = await import('../doctor/examine.ts');
  const lines = Array.isArray(error.details?.['lines']) ? error.details['lines'].map(String) : [];
  const found: Diagnosis[] = [error.message, ...lines].map((what, index) => ({
    topic: 'site',
    check: 'file',
    rules: [],
    state: 'failed',
    what,
    exit: 2,
    ...(index === 0 ? { mend: error.hint ?? `mend ${context.sitePath}` } : {}),
  }));
  return answer(found, 2, showDiagnoses(found));
}

function answer(found: readonly Diagnosis[], exitCode: ExitCode, human: string): VerbResult {
  const counts = { ok: 0, warning: 0, failed: 0, skipped: 0 };
  for (const { state } of found) counts[state] += 1;
  const findings = found.map(({ topic, check, rules, state, what, mend }) => ({
    topic,
    check,
    rules,
    state,
    what,
    mend: mend ?? null,
  }));
  return { json: { ok: exitCode === 0, counts, findings }, human, exitCode };
}
