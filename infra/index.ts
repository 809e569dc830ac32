import { createStagingByConfig } from './program.ts';

/** The program of `pulumi up` in this folder. */
export const { machine, sshEndpoint, hostKey, database, createdAt, expiresAt } = createStagingByConfig();
