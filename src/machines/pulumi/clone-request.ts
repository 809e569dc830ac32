import type { VsphereArgs } from '../../../infra/staging-args.ts';
import type { CloneRequest } from '../vsphere/prepare-clone.ts';

/** What `LiveStaging` asks of vSphere, in the words of `prepareClone`. */
export function cloneRequestOf(name: string, args: VsphereArgs, mayChange: boolean): CloneRequest {
  const { vsphere, source, labels } = args;
  return {
    address: vsphere.address,
    places: vsphere.places,
    name,
    site: labels?.['site'],
    source,
    wish: { linked: vsphere.clone === 'linked', ...vsphere.size },
    network: vsphere.network,
    customization: vsphere.customization,
    mayChange,
  };
}
