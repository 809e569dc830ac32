import { ClonaError } from '../../errors.ts';
import type { Vim } from './client.ts';
import { child, children, text, type MoRef, type XmlNode } from './soap.ts';

/** The custom attributes of a staging machine: what vCenter shows of it, and what clona reads back. */
export const attributeNames = {
  site: 'clona.site',
  source: 'clona.source',
  archive: 'clona.archive',
  created: 'clona.created',
  expires: 'clona.expires',
  base: 'clona.base',
} as const;

export type Mark = keyof typeof attributeNames;

/** Keys of the attributes that exist, by mark (CustomFieldsManager). */
export async function readAttributeKeys(
  vim: Vim,
  signal: AbortSignal,
): Promise<Partial<Record<Mark, string>>> {
  const fields = (await vim.read(managerOf(vim), ['field'], signal)).get('field');
  const known = children(fields, 'CustomFieldDef').map((field) => [
    text(child(field, 'name')),
    text(child(field, 'key')),
  ]);
  const byName = new Map(known.map(([name = '', key = '']) => [name, key]));
  return Object.fromEntries(
    Object.entries(attributeNames).flatMap(([mark, name]) => {
      const key = byName.get(name);
      return key === undefined ? [] : [[mark, key]];
    }),
  );
}

/**
 * Makes the attributes that are missing. They belong to the whole vCenter and to every site on it, so no stack may
 * own them: whoever comes first makes them, and nobody removes them.
 */
export async function ensureAttributes(vim: Vim, signal: AbortSignal): Promise<Record<Mark, string>> {
  const keys = await readAttributeKeys(vim, signal);
  for (const [mark, name] of Object.entries(attributeNames)) {
    if (isMark(mark) && keys[mark] === undefined) {
      keys[mark] = await addAttribute(vim, name, signal);
    }
  }
  return keys as Record<Mark, string>; // every mark has just been seen to
}

async function addAttribute(vim: Vim, name: string, signal: AbortSignal): Promise<string> {
  try {
    const args = { name, moType: 'VirtualMachine' };
    const [made] = await vim.call('AddCustomFieldDef', managerOf(vim), args, signal);
    return text(child(made, 'key'));
  } catch (error) {
    // Another run was faster.
    const mark = Object.entries(attributeNames).find(([, one]) => one === name)?.[0];
    const key = mark !== undefined && isMark(mark) ? (await readAttributeKeys(vim, signal))[mark] : undefined;
    if (key === undefined) throw error;
    return key;
  }
}

function managerOf(vim: Vim): MoRef {
  const manager = vim.content.customFieldsManager;
  if (manager !== undefined) return manager;
  throw new ClonaError('machineFailed', 'this vSphere server has no custom attributes: it is no vCenter', {
    hint: 'cloning needs a vCenter, a lone host cannot',
  });
}

function isMark(name: string): name is Mark {
  return Object.hasOwn(attributeNames, name);
}

/** The marks on one machine, from its property `customValue`. */
export async function readMarks(
  vim: Vim,
  machine: MoRef,
  keys: Partial<Record<Mark, string>>,
  signal: AbortSignal,
): Promise<Partial<Record<Mark, string>>> {
  const values = (await vim.read(machine, ['customValue'], signal)).get('customValue');
  return marksOf(values, keys);
}

export function marksOf(
  values: XmlNode | undefined,
  keys: Partial<Record<Mark, string>>,
): Partial<Record<Mark, string>> {
  const byKey = new Map(
    children(values, 'CustomFieldValue').map((value) => [
      text(child(value, 'key')),
      text(child(value, 'value')),
    ]),
  );
  return Object.fromEntries(
    Object.entries(keys).flatMap(([mark, key]) => {
      const value = byKey.get(key);
      return value === undefined || value === '' ? [] : [[mark, value]];
    }),
  );
}
