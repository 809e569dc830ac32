// A clona of another build on another host: starts a release, says when it waits for people, and stays.
import { DBOS } from '@dbos-inc/dbos-sdk';
import type { DatabaseAddress } from '../../src/databases/database.ts';
import { runRefresh, startRelease } from '../../src/pipeline/runs.ts';
import { tickChecklist } from '../../src/pipeline/signing.ts';
import { createFileOperations } from './file-operations.ts';
import { openTestContext } from './test-context.ts';

const { folder, address, site } = JSON.parse(process.argv[2] ?? '{}') as {
  folder: string;
  address: DatabaseAddress;
  site: string;
};
// Other sources give DBOS another version by its own way of counting.
DBOS.registerWorkflow(async () => 'older', { name: 'from-an-older-build' });
await using context = await openTestContext({
  site,
  folder,
  address,
  operations: createFileOperations(folder),
});
await runRefresh(context, { by: 'dora', machine: 'staging' });
await startRelease(context, { by: 'dora', kit: 'good@2.1' });
await tickChecklist(context, { by: 'dora' });
process.stdout.write('waiting\n');
process.stdin.resume();
await new Promise((resolve) => process.stdin.once('end', resolve));
