-- Order of asking among processes that wait at one website (P-03, P-08): each tells when its oldest of a kind came and when
-- it will ask again; microseconds for the first, milliseconds for the second. Whoever asks while an older one of another process is due lets it go first, for a moment.
--   claims:<website>  hash: <process> SEP <account> SEP <what it waits for> -> '<came at> <asks again at>'
-- A process that does not come when it said loses its claim, so a dead one holds nobody up.
local GRACE = 15
local EARLY = 3

local claimed

local function claimsKey()
  return TAG .. 'claims:' .. site.name
end

local function isAlone()
  return call('ZCARD', NODES) < 2
end

local function othersClaims()
  if claimed then
    return claimed
  end
  claimed = {}
  if isAlone() then
    return claimed
  end
  local fields = call('HGETALL', claimsKey())
  for i = 1, #fields, 2 do
    local node, account, waitsFor = string.match(fields[i], '^([^\31]*)\31([^\31]*)\31(.*)$')
    local since, due = string.match(fields[i + 1], '^(%d+) (%d+)$')
    due = tonumber(due)
    if due + GRACE < now then
      call('HDEL', claimsKey(), fields[i])
    elseif node ~= NODE then
      claimed[#claimed + 1] = { account = account, waitsFor = waitsFor, since = tonumber(since), due = due }
    end
  end
  return claimed
end

-- Whether there is an upstream for both.
local function isScarce(region)
  local walk = walkOf(region)
  return walk.cursor >= walk.last and call('ZCOUNT', orderOf(region), '-inf', FREE_TOP) < 2
end

local function competes(claim, ask, way)
  if claim.account == ask.account then
    return ask.siteDelay > 0 or claim.waitsFor == way.waitsFor
  end
  if ask.slaveDelay == 0 then
    return false
  end
  return claim.waitsFor == way.exit or (claim.waitsFor == '' and isScarce(ask.region))
end

-- Milliseconds to let an older one go first; nil when nobody is before this one.
local function yieldFor(ask, way, since)
  for _, claim in ipairs(othersClaims()) do
    if claim.since < since and claim.due <= now + EARLY and competes(claim, ask, way) then
      return max(1, claim.due + GRACE - now)
    end
  end
  return nil
end

-- Tells that this process will ask again for one that came at `since`.
local function claim(account, waitsFor, since, askIn)
  if isAlone() then
    return
  end
  call('HSET', claimsKey(), NODE .. SEP .. account .. SEP .. waitsFor, text(since) .. ' ' .. text(now + askIn))
  call('PEXPIRE', claimsKey(), text(SHORT_IDLE))
end

-- One waits no more: the next of its kind in this process, if there is one, asks in so many milliseconds.
local function passOn(account, waitsFor, next, askIn)
  if next then
    claim(account, waitsFor, next, askIn)
  elseif not isAlone() then
    call('HDEL', claimsKey(), NODE .. SEP .. account .. SEP .. waitsFor)
  end
end

-- One begins to wait; an older one of its kind keeps the claim.
local function claimFirst(account, waitsFor, since, askIn)
  if isAlone() or call('HEXISTS', claimsKey(), NODE .. SEP .. account .. SEP .. waitsFor) == 1 then
    return
  end
  claim(account, waitsFor, since, askIn)
end
