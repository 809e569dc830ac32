import type { PlannedFile } from './write.ts';

/** What `pulumi up` needs beside an installed clona. */
export function pulumiFiles(_siteName: string): PlannedFile[] {
  return [];
}
