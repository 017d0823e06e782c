-- The delay a new request would get (E-09). ARGV: 4 website, 5 where, 6 session or '', 7.. the ask. Answers milliseconds.
local ask = readAsk(7)
if not hasPool() then
  return { 'pool' }
end
local session = sessionIn(ask, ARGV[6])
openSite(ARGV[4], tonumber(ARGV[5]))
local again = outlook(ask, session)
closeSite()
return text(again)
