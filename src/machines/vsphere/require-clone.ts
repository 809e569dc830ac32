import { ClonaError } from '../../errors.ts';
import type { Vim } from './client.ts';
import { findInPath } from './inventory.ts';
import { readAttributeKeys, readMarks } from './marks.ts';
import { moRef, text } from './soap.ts';
import { isCloneOf } from './unfinished.ts';

/** What clona writes on each of its clones; it stays when somebody deletes the attributes of the whole vCenter. */
const cloneNote = /^LIVE STAGING of .*, made by clona/;

/**
 * Throws where the machine that a stack's state holds is production, or one that clona did not make: imported, or put
 * there by hand. The engine would give it the shape and the network of a clone, or delete it (R21). False: it is gone.
 */
export async function requireClone(
  vim: Vim,
  { stack, uuid, production, hint }: { stack: string; uuid: string; production: string; hint: string },
  signal: AbortSignal,
): Promise<boolean> {
  const asked = { uuid, vmSearch: true, instanceUuid: false };
  const [found] = await vim.call('FindByUuid', vim.content.searchIndex, asked, signal);
  const machine = moRef(found);
  if (machine === undefined) return false;
  const [properties, keys, live] = await Promise.all([
    vim.read(machine, ['name', 'config.annotation'], signal),
    readAttributeKeys(vim, signal),
    findInPath(vim, production, ['VirtualMachine'], signal),
  ]);
  const marks = await readMarks(vim, machine, keys, signal);
  const isOurs =
    marks.source !== undefined ||
    cloneNote.test(text(properties.get('config.annotation'))) ||
    // One whose run failed before anything was written on it.
    (live !== undefined && (await isCloneOf(vim, machine, live, signal)));
  if (isOurs && machine.moref !== live?.moref) return true;
  const name = text(properties.get('name'));
  const what = machine.moref === live?.moref ? 'which is production' : 'which clona did not make';
  throw new ClonaError('machineFailed', `the stack "${stack}" holds the machine ${name}, ${what}`, {
    hint,
    details: { uuid, name },
  });
}
