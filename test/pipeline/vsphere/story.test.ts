import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { join } from 'node:path';
import { printProgress } from '../../../src/cli/progress.ts';
import { placeControl } from '../../../src/control/place.ts';
import { stopServer } from '../../../src/databases/postgres/server.ts';
import type { Context } from '../../../src/pipeline/context.ts';
import { createOperations } from '../../../src/pipeline/create-operations.ts';
import { openContext } from '../../../src/pipeline/open-site.ts';
import type { RefreshResult } from '../../../src/pipeline/refresh.ts';
import { runRefresh, throwIfFailed } from '../../../src/pipeline/runs.ts';
import { createVsphereWorld, whyNoVsphereWorld, type VsphereWorld } from '../../support/vsphere-world.ts';

const missing = await whyNoVsphereWorld();
const dora = { by: 'dora' };
const limitMs = 240_000;

describe.skipIf(missing !== undefined)(
  `the pipeline on vSphere${missing === undefined ? '' : ` (${missing})`}`,
  () => {
    let world: VsphereWorld;
    let context: Context;

    beforeAll(async () => {
      process.env['CLONA_TEST_VCENTER'] = 'pass';
      world = await createVsphereWorld();
      context = await openContext({
        sitePath: world.sitePath,
        signal: new AbortController().signal,
        onProgress:
          process.env['CLONA_TEST_PROGRESS'] === undefined ? () => {} : printProgress(process.stderr),
        createOperations: async (opened) => createOperations(opened, { note: () => {} }),
      });
    }, limitMs);
    afterAll(async () => {
      await context?.[Symbol.asyncDispose]();
      if (world !== undefined) {
        const { folder } = placeControl(join(world.folder, '.clona'));
        await stopServer({ dataDir: join(folder, 'data'), mode: 'immediate' });
      }
      await world?.[Symbol.asyncDispose]();
    }, limitMs);

    async function refresh(): Promise<RefreshResult> {
      const result = await runRefresh(context, { ...dora, machine: 'staging' });
      throwIfFailed(result);
      return result;
    }

    test(
      'the archive is proven on a clone of the VM to grade 5',
      async () => {
        expect(await refresh()).toMatchObject({ outcome: 'succeeded', proof: { grade: 5 } });
      },
      limitMs,
    );
  },
);
