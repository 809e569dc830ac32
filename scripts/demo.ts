#!/usr/bin/env node
// npm run demo: the verb `clona demo`, from a checkout.
import { main } from '../src/cli/main.ts';

await main(['demo', ...process.argv.slice(2)]);
