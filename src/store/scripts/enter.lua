-- The house's part of an admission on a cluster: session, seat, overload (H-07). A refusal of the website is followed by
-- `leave`. ARGV: 4 idle, 5 '1' = overloaded, 6.. the ask, then leavings. Answers {'in', session, its upstream} or {'no', ...}.
idleMs = tonumber(ARGV[4])
local ask = asks.readAsk(6)
if not base.hasPool() then
  return { 'pool' }
end
house.leaveAll(6 + ASK_FIELDS)
local session, refusal = house.knock(ask, ARGV[5] == '1')
if refusal then
  return refusal
end
house.seat(ask.account)
if ask.by == '' then
  return { 'in', '', '' }
end
session = session or house.makeSession(ask.account, ask.newId, house.nameOf(ask), '')
house.enterSession(ask.account, session)
return { 'in', session.id, session.exit }
