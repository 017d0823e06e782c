-- Order of asking among processes that wait at one website (P-03, P-08): each tells when its oldest of a kind came and when
-- it will ask again; microseconds for the first, milliseconds for the second. Whoever asks while an older one of another process is due lets it go first, for a moment.
--   claims:<website>  hash: <process> SEP <account> SEP <what it waits for> -> '<came at> <asks again at>'
-- A process that does not come when it said loses its claim, so a dead one holds nobody up.
local claims = {}
local GRACE = 15
local EARLY = 3

local claimed

function claims.claimsKey()
  return TAG .. 'claims:' .. site.name
end

function claims.isAlone()
  return call('ZCARD', NODES) < 2
end

function claims.othersClaims()
  if claimed then
    return claimed
  end
  claimed = {}
  if claims.isAlone() then
    return claimed
  end
  local fields = call('HGETALL', claims.claimsKey())
  for i = 1, #fields, 2 do
    local node, account, waitsFor = string.match(fields[i], '^([^\31]*)\31([^\31]*)\31(.*)$')
    local since, due = string.match(fields[i + 1], '^(%d+) (%d+)$')
    due = tonumber(due)
    if due + GRACE < now then
      call('HDEL', claims.claimsKey(), fields[i])
    elseif node ~= NODE then
      claimed[#claimed + 1] = { account = account, waitsFor = waitsFor, since = tonumber(since), due = due }
    end
  end
  return claimed
end

-- Whether there is an upstream for both.
function claims.isScarce(region)
  local walk = order.walkOf(region)
  return walk.cursor >= walk.last and call('ZCOUNT', order.orderOf(region), '-inf', FREE_TOP) < 2
end

function claims.competes(claim, ask, way)
  if claim.account == ask.account then
    return ask.siteDelay > 0 or claim.waitsFor == way.waitsFor
  end
  if ask.slaveDelay == 0 then
    return false
  end
  return claim.waitsFor == way.exit or (claim.waitsFor == '' and claims.isScarce(ask.region))
end

-- Milliseconds to let an older one go first; nil when nobody is before this one.
function claims.yieldFor(ask, way, since)
  for _, claim in ipairs(claims.othersClaims()) do
    if claim.since < since and claim.due <= now + EARLY and claims.competes(claim, ask, way) then
      return max(1, claim.due + GRACE - now)
    end
  end
  return nil
end

-- Tells that this process will ask again for one that came at `since`.
function claims.claim(account, waitsFor, since, askIn)
  if claims.isAlone() then
    return
  end
  call('HSET', claims.claimsKey(), NODE .. SEP .. account .. SEP .. waitsFor, text(since) .. ' ' .. text(now + askIn))
  call('PEXPIRE', claims.claimsKey(), text(SHORT_IDLE))
end

-- One waits no more: the next of its kind in this process, if there is one, asks in so many milliseconds.
function claims.passOn(account, waitsFor, next, askIn)
  if next then
    claims.claim(account, waitsFor, next, askIn)
  elseif not claims.isAlone() then
    call('HDEL', claims.claimsKey(), NODE .. SEP .. account .. SEP .. waitsFor)
  end
end

-- One begins to wait; an older one of its kind keeps the claim.
function claims.claimFirst(account, waitsFor, since, askIn)
  if claims.isAlone() or call('HEXISTS', claims.claimsKey(), NODE .. SEP .. account .. SEP .. waitsFor) == 1 then
    return
  end
  claims.claim(account, waitsFor, since, askIn)
end
