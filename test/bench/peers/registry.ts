/** All peers, in the order they are measured and shown. */
import { crawlgatePeers } from './crawlgate.ts';
import { haproxy, tinyproxy } from './floor.ts';
import { relay } from './node.ts';
import type { Peer } from './peer.ts';
import { squid } from './squid.ts';

export const PEERS: readonly Peer[] = [squid, haproxy, tinyproxy, relay, ...crawlgatePeers];
