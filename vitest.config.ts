import { defineConfig } from 'vitest/config';
import { BaseSequencer, type TestSpecification } from 'vitest/node';

/** Files that start engines, machines or many servers, by what they cost; the rest takes seconds each. */
const long = [
  'machines/vsphere/faults',
  'machines/vsphere/staging',
  'machines/pulumi/staging',
  'machines/vsphere/drift',
  'examples/pipelines-played',
  'pipeline/local/story',
  'pipeline/vsphere/story',
  'pipeline/vsphere/hostile',
  'machines/vsphere/policy',
  'restore/place/guest',
  'pipeline/zone-guard',
  'cli/signals',
  'cli/destroy',
  'cli/backup-site',
  'pipeline/crash',
  'pipeline/',
  'machines/',
  'databases/postgres/',
  'guest/',
  'examples/',
  'cli/',
  'serve/',
];

/** A long file that comes last would keep one worker busy while the other one has nothing left to do. */
class LongFirst extends BaseSequencer {
  override async sort(specifications: TestSpecification[]): Promise<TestSpecification[]> {
    const place = ({ moduleId }: TestSpecification): number => {
      const found = long.findIndex((part) => moduleId.includes(`/${part}`));
      return found === -1 ? long.length : found;
    };
    return specifications.toSorted((a, b) => place(a) - place(b) || a.moduleId.localeCompare(b.moduleId));
  }
}

export default defineConfig({
  test: {
    include: ['test/**/*.test.ts'],
    globalSetup: 'test/support/global-setup.ts',
    // Two cores are what can be counted on; each test file brings its own folders, ports and servers.
    maxWorkers: 2,
    sequence: { sequencer: LongFirst },
    // In CI alone: a machine that is somebody else's, too, may starve one test; what fails thrice has failed.
    retry: process.env['CI'] ? 2 : 0,
    // Ends what hangs; a busy machine takes five times as long as a quiet one, and that is no failure.
    testTimeout: 180_000,
    hookTimeout: 300_000,
    reporters: process.env['CI'] ? ['default', ['json', { outputFile: 'reports/vitest.json' }]] : ['default'],
  },
});
