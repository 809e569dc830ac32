import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import type { MutationConfig } from './config.ts';
import { findReason, readReasons } from './reasons.ts';
import { listSurvivors, pathOfResult, readResult, type FileResult, type Mutant } from './results.ts';

/** So many lines of source in one run of Stryker: a run that is cut off leaves nothing, so that runs are small. */
const linesInPiece = 500;

/** Runs Stryker over the files in pieces; what a piece yields is kept before the next one begins. */
export function measure(files: readonly string[], config: MutationConfig): void {
  const pieces = cutInPieces(files);
  const failed: string[] = [];
  for (const [index, piece] of pieces.entries()) {
    console.log(`piece ${index + 1} of ${pieces.length}: ${piece.join(', ')}`);
    const found = runStryker(piece, config);
    if (found === null) failed.push(...piece);
    else
      for (const file of piece) write(found.find((one) => one.file === file) ?? withoutMutants(file), config);
  }
  if (failed.length > 0) throw new Error(`Stryker gave no report for ${failed.join(', ')}`);
}

/**
 * After tests were added: tries only the lines on which something survived that has no reason. What was noticed before
 * still is, while the source is the same and no test was taken away.
 */
export function measureUnexplained(files: readonly string[], config: MutationConfig): void {
  const reasons = readReasons();
  const unchanged = files
    .map((file) => readResult(config.results, file))
    .filter((result) => result !== null)
    .filter((result) => result.source === readFileSync(result.file, 'utf8'));
  const lines = unchanged
    .flatMap((result) => listSurvivors(result))
    .filter((survivor) => findReason(reasons, survivor) === undefined)
    .map(({ file, line, lastLine }) => `${file}:${line}-${lastLine}`);
  if (lines.length === 0) return;
  const found = runStryker([...new Set(lines)], config);
  if (found === null) throw new Error('Stryker gave no report');
  for (const again of found) {
    const before = unchanged.find(({ file }) => file === again.file)!; // Stryker was asked for these
    const tried = new Map(again.mutants.map((mutant) => [nameOf(mutant), mutant]));
    const mutants = before.mutants.map((mutant) => tried.get(nameOf(mutant)) ?? mutant);
    write({ ...again, mutants }, config);
  }
}

/** Types alone: Stryker does not list it. */
function withoutMutants(file: string): FileResult {
  const source = readFileSync(file, 'utf8');
  return { file, measuredAt: new Date().toISOString(), source, mutants: [] };
}

const nameOf = ({ mutatorName, replacement, location }: Mutant): string =>
  JSON.stringify([mutatorName, replacement, location]);

function cutInPieces(files: readonly string[]): string[][] {
  const pieces: string[][] = [];
  let room = 0;
  for (const file of files) {
    const lines = readFileSync(file, 'utf8').split('\n').length;
    if (lines > room || pieces.length === 0) {
      pieces.push([]);
      room = linesInPiece;
    }
    pieces.at(-1)!.push(file); // pushed above at the latest
    room -= lines;
  }
  return pieces;
}

/** null: it gave no report. */
function runStryker(patterns: readonly string[], { jsonReport }: MutationConfig): FileResult[] | null {
  rmSync(jsonReport, { force: true });
  const words = ['node_modules/@stryker-mutator/core/bin/stryker.js', 'run', 'stryker.config.json'];
  // Its exit code says only whether this piece is above the threshold; the report judges folders.
  spawnSync(process.execPath, [...words, '--mutate', patterns.join(',')], { stdio: 'inherit' });
  if (!existsSync(jsonReport)) return null;
  // The mutation testing report schema, as far as it is used here.
  const { files } = JSON.parse(readFileSync(jsonReport, 'utf8')) as {
    files: Record<string, { source: string; mutants: Mutant[] }>;
  };
  const measuredAt = new Date().toISOString();
  return Object.entries(files).map(([file, { source, mutants }]) => ({
    file,
    measuredAt,
    source,
    mutants: mutants.map(({ mutatorName, replacement, location, status }) => ({
      mutatorName,
      replacement,
      location,
      status,
    })),
  }));
}

function write(result: FileResult, { results }: MutationConfig): void {
  mkdirSync(results, { recursive: true });
  writeFileSync(pathOfResult(results, result.file), JSON.stringify(result));
}
