// A checkout runs its sources; a packed clona has JavaScript only (Node.js strips no types under node_modules).
import { existsSync } from 'node:fs';

// Not awaited: Pulumi's own launcher loads this file with require(), which takes no module that waits.
void import(existsSync(new URL('pack.ts', import.meta.url)) ? './pack.ts' : './pack.js');
