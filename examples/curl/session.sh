#!/bin/sh
# Fetches pages one after another through one upstream: session.sh https://target.example/a https://target.example/b
set -eu

proxy=${CRAWLGATE_PROXY:-127.0.0.1:8010}
ca=${CRAWLGATE_CA:-certs/crawlera-ca.crt}

session=$(curl -sSf -u "$CRAWLGATE_API_KEY:" -X POST "$proxy/sessions")
trap 'curl -sS -u "$CRAWLGATE_API_KEY:" -X DELETE "$proxy/sessions/$session"' EXIT

# One call of curl: the addresses of one website share a tunnel.
curl -sS --max-time 600 --fail-with-body --cacert "$ca" \
  -x "$proxy" -U "$CRAWLGATE_API_KEY:" -H "X-Crawlera-Session: $session" "$@"
