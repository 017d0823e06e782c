-- Renews the asking process' lease, gives back what dead processes held, and keeps shared keys alive. Every few seconds.
-- ARGV: 4 idle, 5 lease in milliseconds, 6 '1' = what follows is all that this process holds, 7.. field, count, ...
-- Answers 1 when Redis has the asker's pool, else 0.
idleMs = tonumber(ARGV[4])

-- Adds a difference to what a field of `held:<process>` stands for.
local function apply(field, count)
  local kind, rest = string.match(field, '^(%l)' .. SEP .. '(.*)$')
  if kind == 's' then
    house.freeSeats(rest, -count)
  elseif kind == 'w' then
    local name, account, waitsFor = string.match(rest, '^([^' .. SEP .. ']*)' .. SEP .. '([^' .. SEP .. ']*)' .. SEP .. '(.*)$')
    pacing.addWaiting(name, account, waitsFor, count)
    if call('PTTL', TAG .. 'site:' .. name) == -1 then
      call('PEXPIRE', TAG .. 'site:' .. name, text(DAY))
    end
  elseif kind == 'r' then
    local account, id = string.match(rest, '^([^' .. SEP .. ']*)' .. SEP .. '(.*)$')
    local one = house.readSession(account, id)
    if one then
      house.leaveSession(account, one, -count)
    end
  end
end

local function fieldsOf(key)
  local fields, counts = call('HGETALL', key), {}
  for i = 1, #fields, 2 do
    counts[fields[i]] = tonumber(fields[i + 1])
  end
  return counts
end

for _, dead in ipairs(call('ZRANGEBYSCORE', NODES, '-inf', text(now))) do
  if dead ~= NODE then
    for field, count in pairs(fieldsOf(TAG .. 'held:' .. dead)) do
      apply(field, -count)
    end
    call('DEL', TAG .. 'held:' .. dead)
    call('ZREM', NODES, dead)
  end
end

if ARGV[6] == '1' then
  local before = fieldsOf(HELD)
  for i = 7, #ARGV, 2 do
    local field, count = ARGV[i], tonumber(ARGV[i + 1])
    if count ~= (before[field] or 0) then
      apply(field, count - (before[field] or 0))
      call('HSET', HELD, field, count)
    end
    before[field] = nil
  end
  for field, count in pairs(before) do
    apply(field, -count)
    call('HDEL', HELD, field)
  end
end

call('ZADD', NODES, text(now + tonumber(ARGV[5])), NODE)
for _, key in ipairs({ NODES, HELD, SEATS, GIVEN, TAG .. 'hosts:', TAG .. 'regions' }) do
  call('PEXPIRE', key, text(DAY))
end
call('PEXPIRE', POOL, text(POOL_LIFE))
for _, region in ipairs(call('SMEMBERS', TAG .. 'regions')) do
  call('PEXPIRE', TAG .. 'hosts:' .. region, text(DAY))
end
local _, count = base.sizeOf('')
if not base.hasPool() or call('ZCARD', TAG .. 'hosts:') < count then
  return 0
end
return 1
