-- An ask in ARGV, ten fields from `at` on:
--   account, maxConnections ('' = no limit), maxSessions, siteDelay, slaveDelay, region ('' = any), '1' = No-Bancheck,
--   session '' | 'create' | 'id' | 'name', its id or name, an id for a session to be made
local asks = {}
local ASK_FIELDS = 10

function asks.readAsk(at)
  return {
    account = ARGV[at],
    maxConnections = tonumber(ARGV[at + 1]),
    maxSessions = tonumber(ARGV[at + 2]),
    siteDelay = tonumber(ARGV[at + 3]),
    slaveDelay = tonumber(ARGV[at + 4]),
    region = ARGV[at + 5],
    noBancheck = ARGV[at + 6] == '1',
    by = ARGV[at + 7],
    value = ARGV[at + 8],
    newId = ARGV[at + 9],
  }
end
