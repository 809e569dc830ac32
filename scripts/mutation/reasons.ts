import { readFileSync } from 'node:fs';
import { parse } from 'yaml';

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
