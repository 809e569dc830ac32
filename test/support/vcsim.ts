// The demo needs it, too, and lives without the tests.
export { findVcsim, startVcsim, type Vcsim } from '../../scripts/demo/vsphere/vcsim.ts';
