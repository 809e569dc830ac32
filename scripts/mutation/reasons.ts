import { readFileSync } from 'node:fs';
import { parse } from 'yaml';
import type { Survivor } from './results.ts';

/** Why a change that no test notices changes nothing that anybody could notice. */
export interface Reason {
  file: string;
  code: string;
  becomes: string;
  why: string;
}

export function readReasons(): Reason[] {
  const text = readFileSync(new URL('survivors.yaml', import.meta.url), 'utf8');
  // Written by hand in the form that the report prints.
  const groups = parse(text) as { file: string; why: string; mutants: { code: string; becomes: string }[] }[];
  return groups.flatMap(({ file, why, mutants }) => mutants.map((mutant) => ({ file, why, ...mutant })));
}

export function covers(reason: Reason, survivor: Survivor): boolean {
  return (
    reason.file === survivor.file && reason.code === survivor.code && reason.becomes === survivor.becomes
  );
}

export function findReason(reasons: readonly Reason[], survivor: Survivor): Reason | undefined {
  return reasons.find((reason) => covers(reason, survivor));
}
