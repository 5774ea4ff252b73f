import { testRandomSteps } from './random-run.js';

testRandomSteps(4);
