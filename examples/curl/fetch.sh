#!/bin/sh
# Fetches one page through crawlgate: fetch.sh https://target.example/
# Ends with 1 when crawlgate made the answer, and shows its X-Crawlera-Error.
set -eu

url=${1:-https://target.example/}
proxy=${CRAWLGATE_PROXY:-127.0.0.1:8010}
ca=${CRAWLGATE_CA:-certs/crawlera-ca.crt}

head=$(mktemp)
trap 'rm -f "$head"' EXIT

# The page on standard output, its head in a file. The answer may take long: requests wait for their turn.
curl -sS --max-time 600 --compressed --suppress-connect-headers -D "$head" \
  -x "$proxy" -U "$CRAWLGATE_API_KEY:" --cacert "$ca" "$url"

if grep -i '^x-crawlera-error:' "$head" >&2; then
  grep -i '^retry-after:' "$head" >&2 || true
  exit 1
fi
