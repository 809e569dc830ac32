import type { Context } from '../pipeline/context.ts';
import type { VerbContext } from './verb.ts';

/** The site of a verb, opened with the operations of its platform. */
export async function openVerbContext({ sitePath, signal, onProgress }: VerbContext): Promise<Context> {
  const { openContext } = await import('../pipeline/open-site.ts');
  const { createOperations } = await import('../pipeline/create-operations.ts');
  return openContext({ sitePath, signal, onProgress, createOperations });
}
