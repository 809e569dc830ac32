import type { Vim } from './client.ts';
import { marksOf, readAttributeKeys, type Mark } from './marks.ts';
import { child, children, moRef, text, type MoRef, type XmlNode } from './soap.ts';

/** A staging machine as the whole vCenter shows it, wherever it lies; for schedules and costs. */
export interface ListedMachine {
  reference: MoRef;
  name: string;
  role: 'staging';
  power: 'on' | 'off';
  site: string | null;
  source: string;
  createdAt: string | null;
  expiresAt: string | null;
  /** The base snapshot a linked clone hangs on. */
  base: string | null;
  cpus: number;
  memoryMb: number;
  /** What its disks occupy (summary.storage.committed), bytes. */
  diskBytes: number;
}

const paths = [
  'name',
  'customValue',
  'runtime.powerState',
  'summary.config.numCpu',
  'summary.config.memorySizeMB',
  'summary.storage.committed',
];

/**
 * Every machine that clona marked, of one site or (undefined) of all, in one call (ViewManager.CreateContainerView,
 * PropertyCollector.RetrievePropertiesEx). Machines without marks are none of our business.
 */
export async function listStagingMachines(
  vim: Vim,
  site: string | undefined,
  signal: AbortSignal,
): Promise<ListedMachine[]> {
  const keys = await readAttributeKeys(vim, signal);
  if (keys.source === undefined) return [];
  const listed = await readAllMachines(vim, paths, signal);
  return listed.flatMap((object) => {
    const machine = readListed(object, keys);
    return machine === undefined || (site !== undefined && machine.site !== site) ? [] : [machine];
  });
}

/** Properties of every machine of the vCenter, an object each. */
export async function readAllMachines(
  vim: Vim,
  pathSet: readonly string[],
  signal: AbortSignal,
): Promise<XmlNode[]> {
  const [made] = await vim.call(
    'CreateContainerView',
    vim.content.viewManager,
    { container: vim.content.rootFolder, type: ['VirtualMachine'], recursive: true },
    signal,
  );
  const view = moRef(made);
  if (view === undefined) return [];
  try {
    const traverse = { $type: 'TraversalSpec', type: 'ContainerView', path: 'view', skip: false };
    const specSet = {
      propSet: { type: 'VirtualMachine', all: false, pathSet },
      objectSet: { obj: view, skip: true, selectSet: traverse },
    };
    const collector = vim.content.propertyCollector;
    let [page] = await vim.call('RetrievePropertiesEx', collector, { specSet, options: {} }, signal);
    const objects = children(page, 'objects');
    // The server may hand a long list out in pages.
    for (let token = text(child(page, 'token')); token !== ''; token = text(child(page, 'token'))) {
      [page] = await vim.call('ContinueRetrievePropertiesEx', collector, { token }, signal);
      objects.push(...children(page, 'objects'));
    }
    return objects;
  } finally {
    await vim.call('DestroyView', view, {}, signal);
  }
}

function readListed(object: XmlNode, keys: Partial<Record<Mark, string>>): ListedMachine | undefined {
  const reference = moRef(child(object, 'obj'));
  const values = new Map(
    children(object, 'propSet').map((set) => [text(child(set, 'name')), child(set, 'val') ?? '']),
  );
  const marks = marksOf(values.get('customValue'), keys);
  if (reference === undefined || marks.source === undefined) return undefined;
  const number = (path: string): number => Number(text(values.get(path)));
  return {
    reference,
    name: text(values.get('name')),
    role: 'staging',
    power: text(values.get('runtime.powerState')) === 'poweredOn' ? 'on' : 'off',
    site: marks.site ?? null,
    source: marks.source,
    createdAt: marks.created ?? null,
    expiresAt: marks.expires ?? null,
    base: marks.base ?? null,
    cpus: number('summary.config.numCpu'),
    memoryMb: number('summary.config.memorySizeMB'),
    diskBytes: number('summary.storage.committed'),
  };
}
