import { readFileSync } from 'node:fs';

/** What the scripts use of stryker.config.json. */
export interface MutationConfig {
  mutate: string[];
  /** Lowest score of each folder, in percent. */
  breakAt: number;
  /** Where results lie, one file for each source file; git ignores it. */
  results: string;
  /** What Stryker writes after a run. */
  jsonReport: string;
}

export function readConfig(): MutationConfig {
  const text = readFileSync('stryker.config.json', 'utf8');
  // Stryker checks it against its schema; these fields are set in the repository.
  const { mutate, thresholds, jsonReporter } = JSON.parse(text) as {
    mutate: string[];
    thresholds: { break: number };
    jsonReporter: { fileName: string };
  };
  return {
    mutate,
    breakAt: thresholds.break,
    results: 'reports/mutation/files',
    jsonReport: jsonReporter.fileName,
  };
}
