import { readFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import type { SiteAnswers } from '../../site/answers.ts';
import { defaultAnswers } from '../../site/template.ts';

/** What can be changed by options for `clona init --from-example NAME`; the rest stands in examples/NAME/clona.yaml. */
export const examples: Readonly<Record<string, SiteAnswers>> = {
  erp: { ...defaultAnswers, name: 'erp', live: 'erp-live' },
};

/** The site file of an example, with the answers in their places and its comments kept. */
export async function exampleSiteFile(example: string, answers: SiteAnswers): Promise<string> {
  const { parseDocument } = await import('yaml');
  const file = fileURLToPath(new URL(`../../../examples/${example}/clona.yaml`, import.meta.url));
  const text = await readFile(file, 'utf8');
  const document = parseDocument(text);
  const wanted: readonly [string[], string][] = [
    [['name'], answers.name],
    [['machines', 'live', 'name'], answers.live],
    [['archive', 'location'], answers.archive],
  ];
  const changed = wanted.filter(([path, value]) => document.getIn(path) !== value);
  for (const [path, value] of changed) document.setIn(path, value);
  return changed.length === 0 ? text : document.toString({ lineWidth: 0 });
}
