import { ClonaError } from '../../src/errors.ts';
import type { Toolchain } from '../../src/machines/pulumi/toolchain.ts';
import type { Stages } from './stages.ts';

/**
 * Which engine makes the staging machines: Pulumi's, else none. Without one the demo (and nothing else) goes on by
 * calling the provider's functions itself, and says so in one sentence with the ways out.
 */
export async function findEngine(
  find: () => Promise<Toolchain>,
  stages: Stages,
  tell: (line: string) => void,
): Promise<'pulumi' | 'direct'> {
  try {
    await stages.run('tools: the Pulumi engine', find, ({ version, source }) => `${version} (${source})`);
    return 'pulumi';
  } catch (error) {
    if (!(error instanceof ClonaError) || error.kind !== 'toolchainMissing') throw error;
    stages.list.pop();
    const wayOut = error.hint === undefined ? '' : ` (${error.hint})`;
    tell(
      `    no Pulumi engine can be had here${wayOut}, so the demo calls the provider's functions itself; engine: direct`,
    );
    return 'direct';
  }
}
