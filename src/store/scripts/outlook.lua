-- The delay a new request would get (E-09). ARGV: 4 website, 5 where, 6 session or '', 7.. the ask. Answers milliseconds.
local ask = asks.readAsk(7)
if not base.hasPool() then
  return { 'pool' }
end
local session = house.sessionIn(ask, ARGV[6])
order.openSite(ARGV[4], tonumber(ARGV[5]))
local again = pacing.outlook(ask, session)
order.closeSite()
return text(again)
