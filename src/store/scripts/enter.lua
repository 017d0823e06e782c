-- The house's part of an admission on a cluster: session, seat, overload (H-07). A refusal of the website is followed by
-- `leave`. ARGV: 4 idle, 5 '1' = overloaded, 6.. the ask. Answers {'in', session, its upstream} or {'no', ...}.
idleMs = tonumber(ARGV[4])
local ask = readAsk(6)
if not hasPool() then
  return { 'pool' }
end
local session, refusal = knock(ask, ARGV[5] == '1')
if refusal then
  return refusal
end
seat(ask.account)
if ask.by == '' then
  return { 'in', '', '' }
end
session = session or makeSession(ask.account, ask.newId, nameOf(ask), '')
enterSession(ask.account, session)
return { 'in', session.id, session.exit }
