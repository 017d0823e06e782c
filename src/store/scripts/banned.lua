-- A ban answer of a target (A-09). ARGV: 4 website, 5 where, 6 end of the ban in milliseconds from now, 7 upstream, 8 rule,
-- 9 session or '', 10 '1' = making it, 11.. the ask. Answers {retry after, '1' = a storm began}.
local ask, making = asks.readAsk(11), ARGV[10] == '1'
if not base.hasPool() then
  return { 'pool' }
end
local session = house.sessionIn(ask, ARGV[9])
order.openSite(ARGV[4], tonumber(ARGV[5]))
local exit = ARGV[7]
local began = false
if base.infoOf(exit) and not ask.noBancheck then
  began = bans.recordBan(ask.account, session and session.id, exit, ARGV[8], now + tonumber(ARGV[6]))
end
local left = 0
if session and session.exit ~= '' then
  left = pacing.banLeft(ask.account, session.id, session.exit)
end
if making then
  session = nil
end
local again = left > 0 and base.retryAfter(left) or pacing.outlook(ask, session)
order.closeSite()
return { text(again), began and '1' or '' }
