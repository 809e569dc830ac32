import fc from 'fast-check';

fc.configureGlobal({ ...fc.readConfigureGlobal(), seed: 20170308, endOnFailure: true });
