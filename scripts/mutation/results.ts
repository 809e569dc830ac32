import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

export interface Mutant {
  mutatorName: string;
  replacement?: string | undefined;
  /** Lines and columns count from 1; the end is exclusive. */
  location: { start: { line: number; column: number }; end: { line: number; column: number } };
  status: string;
}

export interface FileResult {
  file: string;
  measuredAt: string;
  /** As it was when it was measured. */
  source: string;
  mutants: Mutant[];
}

export function pathOfResult(folder: string, file: string): string {
  return join(folder, `${file.replaceAll('/', '__')}.json`);
}

/** null: never measured. */
export function readResult(folder: string, file: string): FileResult | null {
  const path = pathOfResult(folder, file);
  return existsSync(path) ? (JSON.parse(readFileSync(path, 'utf8')) as FileResult) : null;
}

export function isSurvivor({ status }: Mutant): boolean {
  return status === 'Survived' || status === 'NoCoverage';
}

export interface Tally {
  detected: number;
  undetected: number;
}

export function tally(mutants: readonly Mutant[]): Tally {
  const count = (...statuses: string[]): number =>
    mutants.filter(({ status }) => statuses.includes(status)).length;
  return {
    detected: count('Killed', 'Timeout'),
    undetected: mutants.filter(isSurvivor).length,
  };
}

/** In percent; what has no mutants is whole. */
export function scoreOf({ detected, undetected }: Tally): number {
  return detected + undetected === 0 ? 100 : (100 * detected) / (detected + undetected);
}

/** A change that no test noticed. */
export interface Survivor {
  file: string;
  line: number;
  lastLine: number;
  mutator: string;
  /** The lines it touches, on one line, and the same after the change: what a reason is filed under. */
  code: string;
  becomes: string;
}

export function listSurvivors(
  { file, source, mutants }: FileResult,
  counts: (mutant: Mutant) => boolean = isSurvivor,
): Survivor[] {
  const lines = source.split('\n');
  return mutants
    .filter(counts)
    .map(({ mutatorName, replacement = '', location: { start, end } }) => {
      const touched = lines.slice(start.line - 1, end.line);
      const before = touched[0]!.slice(0, start.column - 1); // at least one line
      const after = touched.at(-1)!.slice(end.column - 1); // as above
      return {
        file,
        line: start.line,
        lastLine: end.line,
        mutator: mutatorName,
        code: onOneLine(touched.join('\n')),
        becomes: onOneLine(before + replacement + after),
      };
    })
    .sort((a, b) => a.line - b.line);
}

const longest = 160;

function onOneLine(text: string): string {
  const line = text.replace(/\s+/g, ' ').trim();
  return line.length > longest ? `${line.slice(0, longest - 1)}…` : line;
}
