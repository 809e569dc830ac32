import type { DatabaseAddress } from '../../src/databases/database.ts';
import type { Site } from '../../src/site/site.ts';

/** Where the story is played: a site whose LIVE is there, and people at work in it. Disposing takes LIVE away. */
export interface DemoWorld extends AsyncDisposable {
  site: Site;
  /** LIVE's database, as people at work reach it. */
  address: DatabaseAddress;
  rows: number;
  /** Of the program on LIVE. */
  readVersion: () => Promise<string>;
  /** Production and everything clona knows of it are gone until the result is disposed, or for good. */
  lose: (signal: AbortSignal) => Promise<AsyncDisposable>;
}
