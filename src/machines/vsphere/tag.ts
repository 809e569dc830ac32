import { ClonaError } from '../../errors.ts';
import type { VimAddress } from './client.ts';
import { openRest, type VimRest } from './rest.ts';

const category = 'clona';
export const stagingTag = 'clona:staging';

/**
 * The id of the tag `clona:staging`, made with its category where it is missing and `create` says so. Like the
 * attributes it belongs to every site on the vCenter, so no stack owns it. API: com.vmware.cis.tagging.
 */
export async function ensureStagingTag(
  address: VimAddress,
  create: boolean,
  signal: AbortSignal,
): Promise<string | undefined> {
  await using rest = await openRest(address, signal);
  const categoryId = await findOrMake(
    rest,
    'category',
    category,
    create,
    () => rest.call('GET', `${tagging}/category`),
    {
      create_spec: {
        name: category,
        description: 'machines that clona keeps',
        cardinality: 'MULTIPLE',
        associable_types: ['VirtualMachine'],
      },
    },
  );
  if (categoryId === undefined) return undefined;
  const list = (): Promise<unknown> =>
    rest.call('POST', `${tagging}/tag/id:${categoryId}?~action=list-tags-for-category`, {
      category_id: categoryId,
    });
  return await findOrMake(rest, 'tag', stagingTag, create, list, {
    create_spec: { name: stagingTag, description: 'LIVE STAGING, may be destroyed', category_id: categoryId },
  });
}

const tagging = '/com/vmware/cis/tagging';

async function findOrMake(
  rest: VimRest,
  kind: 'category' | 'tag',
  name: string,
  create: boolean,
  list: () => Promise<unknown>,
  spec: object,
): Promise<string | undefined> {
  const look = async (): Promise<string | undefined> => {
    const ids = await list();
    for (const id of Array.isArray(ids) ? ids.map(String) : []) {
      const found = await rest.call('GET', `${tagging}/${kind}/id:${id}`);
      if (typeof found === 'object' && found !== null && 'name' in found && found.name === name) return id;
    }
    return undefined;
  };
  const found = await look();
  if (found !== undefined || !create) return found;
  try {
    return String(await rest.call('POST', `${tagging}/${kind}`, spec));
  } catch (cause) {
    // Another run was faster, or the user may not.
    const made = await look();
    if (made !== undefined) return made;
    throw new ClonaError('machineFailed', `cannot make the vSphere ${kind} ${name}`, { cause });
  }
}
