// Plain JavaScript on purpose: it must still speak on a Node.js that is too old for the program itself.
if (Number(process.versions.node.split('.')[0]) < 24)
  throw new Error(`needs Node.js 24 or newer, this is ${process.versions.node}`);
export const { machine, sshEndpoint, hostKey, database, createdAt, expiresAt } = await import('./index.ts');
