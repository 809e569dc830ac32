import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import type { MutationConfig } from './config.ts';
import { pathOfResult, type FileResult, type Mutant } from './results.ts';

/** So many lines of source in one run of Stryker: a run that is cut off leaves nothing, so that runs are small. */
const linesInPiece = 500;

/** Runs Stryker over the files in pieces; what a piece yields is kept before the next one begins. */
export function measure(files: readonly string[], config: MutationConfig): void {
  const pieces = cutInPieces(files);
  const failed: string[] = [];
  for (const [index, piece] of pieces.entries()) {
    console.log(`piece ${index + 1} of ${pieces.length}: ${piece.join(', ')}`);
    rmSync(config.jsonReport, { force: true });
    const words = ['node_modules/@stryker-mutator/core/bin/stryker.js', 'run', 'stryker.config.json'];
    // Its exit code says only whether this piece is above the threshold; the report judges folders.
    spawnSync(process.execPath, [...words, '--mutate', piece.join(',')], { stdio: 'inherit' });
    if (existsSync(config.jsonReport)) keep(config);
    else failed.push(...piece);
  }
  if (failed.length > 0) throw new Error(`Stryker gave no report for ${failed.join(', ')}`);
}

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

function keep({ jsonReport, results }: MutationConfig): void {
  // The mutation testing report schema, as far as it is used here.
  const { files } = JSON.parse(readFileSync(jsonReport, 'utf8')) as {
    files: Record<string, { source: string; mutants: Mutant[] }>;
  };
  mkdirSync(results, { recursive: true });
  for (const [file, { source, mutants }] of Object.entries(files)) {
    const result: FileResult = {
      file,
      measuredAt: new Date().toISOString(),
      source,
      mutants: mutants.map(({ mutatorName, replacement, location, status }) => ({
        mutatorName,
        replacement,
        location,
        status,
      })),
    };
    writeFileSync(pathOfResult(results, file), JSON.stringify(result));
  }
}
