-- Delays an account's next turn (A-08). ARGV: 4 website, 5 where, 6 account, 7 milliseconds.
if not base.hasPool() then
  return { 'pool' }
end
order.openSite(ARGV[4], tonumber(ARGV[5]))
local pace = pacing.paceOf(ARGV[6])
pace.ready = max(pace.ready, now + tonumber(ARGV[7]))
order.set('G' .. ARGV[6], text(pace.ready))
order.needUntil(pace.ready)
order.closeSite()
return 1
