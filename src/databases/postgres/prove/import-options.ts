import type { DatabaseAddress } from '../../database.ts';
import type { OnProgress } from '../../../progress.ts';

export interface ImportOptions {
  /** Superuser of the restored server. */
  address: DatabaseAddress;
  /** The restored database. Nobody else may be connected to it while the copy is begun. */
  database: string;
  /** The copy is named `<prefix>_<cloneName>`. */
  cloneName: string;
  /** Default clona. */
  prefix?: 'clona' | 'x';
  workers: number;
  signal: AbortSignal;
  onProgress: OnProgress;
}
