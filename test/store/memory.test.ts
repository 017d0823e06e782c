/** The memory store under the suite that every store has to pass. */
import { openMemoryStore } from '../../src/store/memory.ts';
import { makeFakeClock } from '../support/fake-clock.ts';
import { makeRandom } from '../support/store-house.ts';
import { storeConformance } from './conformance.ts';

storeConformance('memory', async (pool, settings) => {
  const clock = makeFakeClock();
  const store = openMemoryStore({ clock, random: makeRandom(), pool, settings: () => settings });
  return { store, advance: (ms) => clock.advance(ms), close: () => store.close() };
});
