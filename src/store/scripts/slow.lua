-- Delays an account's next turn (A-08). ARGV: 4 website, 5 where, 6 account, 7 milliseconds.
if not hasPool() then
  return { 'pool' }
end
openSite(ARGV[4], tonumber(ARGV[5]))
local pace = paceOf(ARGV[6])
pace.ready = max(pace.ready, now + tonumber(ARGV[7]))
set('G' .. ARGV[6], text(pace.ready))
needUntil(pace.ready)
closeSite()
return 1
