-- POST /sessions (S-04, S-12). ARGV: 4 idle, 5 account, 6 most sessions, 7 region or '', 8 an id.
-- Answers {'made', id, upstream} or {'no', ...}.
idleMs = tonumber(ARGV[4])
local account, region = ARGV[5], ARGV[7]
if not base.hasPool() then
  return { 'pool' }
end
house.expire(account)
if house.isFull(account, tonumber(ARGV[6])) then
  return base.refuse('user_session_limit')
end

-- The one up with the fewest live sessions, then longest without a new one.
local function leastUsed()
  local from = 0
  while true do
    local ids = call('ZRANGE', TAG .. 'hosts:' .. region, from, from + 31)
    for _, id in ipairs(ids) do
      local info = base.infoOf(id)
      if info and base.downUntil(id) <= now then
        return id
      end
    end
    if #ids < 32 then
      return nil
    end
    from = from + 32
  end
end

local exit = leastUsed()
if exit then
  return { 'made', house.makeSession(account, ARGV[8], '', exit).id, exit }
end
for _, id in ipairs(call('ZRANGEBYSCORE', DOWN, text(now + 1), '+inf')) do
  local info = base.infoOf(id)
  if info and (region == '' or info.region == region) then
    return base.refuse('noslaves', nil, base.retryAfter(base.downUntil(id) - now))
  end
end
return base.refuse('noslaves', nil, 600000)
