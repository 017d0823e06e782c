/**
 * Names of keys. A hash tag keeps together what one script needs: on a cluster the house (seats, sessions, down times)
 * has one, and websites are spread over `SHARDS` others; a single Redis has the house's only.
 */

export const HOUSE = 'crawlgate{h}:';

const SHARDS = 16;

const shardName = (number: number): string => `crawlgate{w${number}}:`;

/** All tags a website may have. */
export const siteTags = (cluster: boolean): readonly string[] =>
  cluster ? Array.from({ length: SHARDS }, (_, number) => shardName(number)) : [HOUSE];

const hashOf = (text: string): number => {
  let hash = 0;
  for (let i = 0; i < text.length; i++) hash = (Math.imul(hash, 31) + text.charCodeAt(i)) | 0;
  return hash >>> 0;
};

export const siteTag = (cluster: boolean, website: string): string =>
  cluster ? shardName(hashOf(website) % SHARDS) : HOUSE;

/** The keys a script is known to use; it finds the others by the tag of the first. */
export const tagKeys = (tag: string, node: string, version: string): string[] => [
  `${tag}pool:${version}`,
  `${tag}held:${node}`,
  `${tag}down`,
];

export const houseKeys = (tag: string, node: string, version: string): string[] => [
  ...tagKeys(tag, node, version),
  `${tag}seats`,
];

export const accountKeys = (account: string): string[] => [`${HOUSE}sessions:${account}`, `${HOUSE}records:${account}`];

export const siteKeys = (tag: string, website: string, version: string): string[] => [
  `${tag}site:${website}`,
  `${tag}order:${version}::${website}`,
];
