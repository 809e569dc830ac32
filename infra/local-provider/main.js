// A checkout runs its sources; a packed clona has JavaScript only (Node.js strips no types under node_modules).
import { existsSync } from 'node:fs';

const fromSource = existsSync(new URL('provider.ts', import.meta.url));
const { serve } = await import(fromSource ? './provider.ts' : './provider.js');
await serve(process.argv.slice(2));
