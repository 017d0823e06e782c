#!/bin/sh
# Fetches pages through crawlgate, one after another through the same connection: fetch.sh https://target.example/
set -eu

proxy=http://$CRAWLGATE_API_KEY:@${CRAWLGATE_PROXY:-127.0.0.1:8010}
export http_proxy="$proxy" https_proxy="$proxy"

# A request may wait long for its turn, and Wget would ask again meanwhile. Errors are printed like pages.
exec wget -nv --timeout=600 --tries=1 --content-on-error \
  --ca-certificate="${CRAWLGATE_CA:-certs/crawlera-ca.crt}" -O - "$@"
