import { planRepair, repair, type Repair } from '../databases/postgres/repair-archive.ts';
import { ClonaError } from '../errors.ts';
import { confirmChange } from './confirm.ts';
import type { OptionValues, VerbContext } from './verb.ts';

/** Makes again what of the archive's small files can be made again, once that was confirmed; says what was done. */
export async function repairArchive(context: VerbContext, options: OptionValues): Promise<void> {
  const { archive, mirror } = options;
  if (typeof archive !== 'string') {
    throw new ClonaError('usage', '--repair needs the folder of an archive', { hint: 'give --archive DIR' });
  }
  const places = { archiveDir: archive, mirrorDir: typeof mirror === 'string' ? mirror : undefined };
  // Twice at most: first the headers, without which nothing else is read.
  for (let turn = 0; turn < 2; turn += 1) {
    const repairs = await planRepair(places, context.signal);
    if (repairs.length === 0) break;
    for (const one of repairs) context.note(describe(one));
    await confirmChange(context, 'write these files? What is there now is kept beside them');
    await repair(repairs, new Date());
  }
}

function describe({ path, source }: Repair): string {
  return `${path} is made again of ${source}`;
}
