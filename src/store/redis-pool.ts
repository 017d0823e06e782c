/** A configuration's upstreams as the scripts see them: numbered places in rings, under a version all nodes agree on. */
import { createHash } from 'node:crypto';
import type { Upstream } from '../model/job.ts';
import type { Pool } from '../pipeline/ports.ts';
import { spreadPlaces } from '../policy/select.ts';

export interface PoolImage {
  readonly pool: Pool;
  /** The same for the same upstreams in the same order, on every node. */
  readonly version: string;
  /** `[id, line, index]` an upstream, and `[field, value]` of the rest: see scripts/pool.lua. */
  readonly upstreams: readonly (readonly [id: string, line: string, index: number])[];
  readonly fields: readonly (readonly [field: string, value: string])[];
}

interface Ring {
  /** Positions in the ring of the whole pool. */
  readonly places: number[];
  readonly members: Set<string>;
}

const ringsOf = (all: readonly Upstream[], order: readonly number[]): Map<string, Ring> => {
  const rings = new Map<string, Ring>([['', { places: [], members: new Set() }]]);
  order.forEach((index, place) => {
    const { region = '', id } = all[index] as Upstream;
    if (!rings.has(region)) rings.set(region, { places: [], members: new Set() });
    for (const name of region === '' ? [''] : ['', region]) {
      const ring = rings.get(name);
      ring?.places.push(place);
      ring?.members.add(id);
    }
  });
  return rings;
};

/** Each upstream's places, with their index in its region's ring. */
const placesOf = (all: readonly Upstream[], order: readonly number[]): string[] => {
  const next = new Map<string, number>();
  const places = all.map(() => '');
  order.forEach((index, place) => {
    const { region = '' } = all[index] as Upstream;
    const at = next.get(region) ?? 0;
    next.set(region, at + 1);
    places[index] += ` ${place}:${at}`;
  });
  return places;
};

const makeImage = (pool: Pool): PoolImage => {
  const all = [...new Map(pool.all.map((upstream) => [upstream.id, upstream])).values()];
  const order = spreadPlaces(all.map(({ weight }) => weight));
  const places = placesOf(all, order);
  const upstreams = all.map(
    ({ id, rotating, region = '' }, index) => [id, `${rotating ? 1 : 0}${region}${places[index]}`, index] as const,
  );
  const fields: [string, string][] = [];
  for (const [region, ring] of ringsOf(all, order)) {
    ring.places.forEach((place, index) => {
      fields.push([`i${region}:${index}`, `${(all[order[place] as number] as Upstream).id} ${place}`]);
    });
    fields.push([`n:${region}`, `${ring.places.length} ${ring.members.size}`]);
  }
  // What tells that all of it is there comes last.
  fields.sort(([a], [b]) => Number(a === 'n:') - Number(b === 'n:'));
  const version = createHash('sha1').update(JSON.stringify(upstreams)).digest('hex').slice(0, 12);
  return { pool, version, upstreams, fields };
};

const images = new WeakMap<Pool, PoolImage>();

/** Worked out once a pool. */
export const imageOf = (pool: Pool): PoolImage => {
  let image = images.get(pool);
  if (!image) {
    image = makeImage(pool);
    images.set(pool, image);
  }
  return image;
};

/** Entries of one message to Redis. */
const PART = 400;

/** The image as arguments of scripts/pool.lua, cut into parts; `counting` also enters the upstreams for sessions. */
export const partsOf = (image: PoolImage, counting: boolean): (string | number)[][] => {
  const count = counting ? '1' : '';
  const parts: (string | number)[][] = [];
  for (let from = 0; from < image.upstreams.length; from += PART) {
    const some = image.upstreams.slice(from, from + PART);
    parts.push([count, some.length, ...some.flat()]);
  }
  for (let from = 0; from < image.fields.length; from += PART) {
    parts.push(['', 0, ...image.fields.slice(from, from + PART).flat()]);
  }
  return parts;
};
