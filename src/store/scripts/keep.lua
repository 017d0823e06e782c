-- Sets cookies of a site in a jar, takes others away, and keeps within limits by dropping those set longest ago (K-05).
-- ARGV: 4 the jar, 5 site, 6 idle or '', 7 account and 8 id of its session or '', 9 most cookies, 10 most bytes,
-- 11 most sites, 12.. identity and text of each change, text '' = away. See `cookies` for what is kept.
local JAR, site, idle = TAG .. 'jar:' .. ARGV[4], ARGV[5], tonumber(ARGV[6])
local mostCookies, mostBytes, mostSites = tonumber(ARGV[9]), tonumber(ARGV[10]), tonumber(ARGV[11])
if ARGV[8] ~= '' and not house.readSession(ARGV[7], ARGV[8]) then
  return 0
end
local ends = tonumber(call('HGET', JAR, '') or 0)
if idle and ends <= now then
  call('DEL', JAR)
end

-- The last change of each cookie counts.
local at = {}
for i = 12, #ARGV, 2 do
  at[ARGV[i]] = i
end
local entries, bytes = {}, 0
local function add(entry)
  entries[#entries + 1] = entry
  bytes = bytes + #entry
end
for identity, text in string.gmatch(call('HGET', JAR, site) or '', '([^\31]*)\31([^\30]*)\30') do
  if not at[identity] then
    add(identity .. '\31' .. text .. '\30')
  end
end
for i = 12, #ARGV, 2 do
  if at[ARGV[i]] == i and ARGV[i + 1] ~= '' then
    add(ARGV[i] .. '\31' .. ARGV[i + 1] .. '\30')
  end
end
local first = 1
while #entries - first + 1 > mostCookies or bytes > mostBytes do
  bytes = bytes - #entries[first]
  first = first + 1
end

if first > #entries then
  call('HDEL', JAR, site)
  if call('HLEN', JAR) <= 1 then
    call('DEL', JAR)
  end
  return 1
end
if call('HEXISTS', JAR, site) == 0 and call('HLEN', JAR) > mostSites then
  for _, other in ipairs(call('HRANDFIELD', JAR, 2)) do
    if other ~= '' then
      call('HDEL', JAR, other)
      break
    end
  end
end
call('HSET', JAR, '', text(now + (idle or 0)), site, table.concat(entries, '', first))
call('PEXPIRE', JAR, text((idle or 0) + DAY))
return 1
