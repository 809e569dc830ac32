export interface TreeEntry {
  path: string;
  mode: EntryMode;
  sizeBytes: number;
  /** Target of a symbolic link, as written. */
  link?: string | undefined;
}

/** Like git: of a file's mode only "may be executed by its owner" means the same on every platform. */
export type EntryMode = '100644' | '100755' | '120000';
