import type { DatabaseAddress } from '../src/databases/database.ts';
import type { GuestAddress } from '../src/guest/guest.ts';
import type { VimAddress } from '../src/machines/vsphere/client.ts';
import type { InventoryPlaces } from '../src/machines/vsphere/inventory.ts';
import type { PreparedClone } from '../src/machines/vsphere/prepare-clone.ts';

/** The same for every platform; each platform's own settings are in a part of its name. */
export interface LiveStagingArgs {
  platform: 'local' | 'vsphere';
  /** Name of the staging machine; default: the name of the component. */
  name?: string | undefined;
  /** The production machine that is cloned, as the platform knows it. It is only read. */
  source: string;
  /** Default: a network of its own where the platform can, which is proven before the machine counts as made. */
  isolation?: 'network' | 'configuration' | undefined;
  /** When the machine may be destroyed: a moment (ISO), or a time after it was made. Neither: never by itself. */
  expiresAt?: string | undefined;
  timeToLiveMs?: number | undefined;
  /** True: Pulumi refuses to destroy it until this is false again. */
  protect?: boolean | undefined;
  /** Site, archive label and the like; shown with the machine. */
  labels?: Readonly<Record<string, string>> | undefined;
  database?: StagingDatabase | undefined;
  /** Needed on the platform vsphere. */
  vsphere?: VsphereStagingArgs | undefined;
  /** Needed on the platform local. */
  local?: LocalStagingArgs | undefined;
}

export interface StagingDatabase {
  engine?: DatabaseAddress['engine'] | undefined;
  name?: string | undefined;
  user?: string | undefined;
  port?: number | undefined;
}

export interface LocalStagingArgs {
  /** Folder of the staging machines. */
  root: string;
  /** Folder of the production machine; default: the same. */
  sourceRoot?: string | undefined;
}

/** What `LiveStaging` needs to know of a vCenter. */
export interface VsphereStagingArgs {
  /**
   * The password goes to the provider as a Pulumi secret where `passwordInState` says so, else it is expected in
   * VSPHERE_PASSWORD, and no state holds it.
   */
  address: VimAddress;
  passwordInState?: boolean | undefined;
  places: InventoryPlaces;
  /** `full` (default): a copy. `linked`: on the base snapshot that all linked clones of a source share. */
  clone?: 'full' | 'linked' | undefined;
  /** An existing port group that leads nowhere, or the host on which one without uplink is made. */
  network: { portGroup: string } | { host: string };
  /** Default: as production was when it was cloned. */
  size?:
    | { cpus?: number | undefined; memoryMb?: number | undefined; dataDiskGib?: number | undefined }
    | undefined;
  /** Name of a customization specification of the vCenter: another host name, address, SID. Default: none. */
  customization?: string | undefined;
  /** Minutes a clone may take; default 30. */
  cloneTimeoutMinutes?: number | undefined;
  /** How its guest is reached once it has an address. */
  guest: Omit<GuestAddress, 'endpoint'> & { port: number };
  /** Paths as the guest sees them. */
  systemDisk: string;
  dataDisk: string;
  /** `prepareVsphere`, awaited before the engine starts: a refusal then is an error as it is, and costs nothing. */
  prepared?: PreparedClone | undefined;
}

export type VsphereArgs = LiveStagingArgs & { vsphere: VsphereStagingArgs };
