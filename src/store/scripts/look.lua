-- The sessions of waiting or repeated requests on a cluster. ARGV: 4 idle, 5 how many, then for each its ask, its session
-- and '1' = waits for its first turn. Answers {session, upstream} or {'no', ...} for each.
idleMs = tonumber(ARGV[4])
if not base.hasPool() then
  return { 'pool' }
end
local answers, at = {}, 6
for i = 1, tonumber(ARGV[5]) do
  local ask = asks.readAsk(at)
  local session, refusal = house.sessionOfWish(ask, ARGV[at + ASK_FIELDS], ARGV[at + ASK_FIELDS + 1] == '1')
  if not session and not refusal then
    session = house.makeSession(ask.account, ask.newId, house.nameOf(ask), '')
  end
  answers[i] = refusal or { session.id, session.exit }
  at = at + ASK_FIELDS + 2
end
return answers
