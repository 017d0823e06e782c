-- A waiting or repeated request in ARGV, from `at` on: the ten fields of its ask, then
--   its session, '1' = making it, '1' = counted as waiting, what for, '1' = waits for its first turn, '1' = may repeat,
--   when it came (0 = before all that wait), when the next of its kind in the process came ('' = none), number of
--   upstreams it used, and these
local wishes = {}

function wishes.readWish(at)
  local wish = { ask = asks.readAsk(at) }
  at = at + ASK_FIELDS
  wish.session, wish.making, wish.counted, wish.waitsFor = ARGV[at], ARGV[at + 1] == '1', ARGV[at + 2] == '1', ARGV[at + 3]
  wish.first, wish.mayRepeat = ARGV[at + 4] == '1', ARGV[at + 5] == '1'
  wish.since = tonumber(ARGV[at + 6])
  wish.next = tonumber(ARGV[at + 7])
  local count = tonumber(ARGV[at + 8])
  at = at + 9
  if count > 0 then
    wish.spent = { ids = {}, count = count, rotatingToo = wish.making }
    for i = at, at + count - 1 do
      wish.spent.ids[ARGV[i]] = true
    end
  end
  return wish, at + count
end

-- Dispatches it if its turn has come: the answer, or nil, its way, its session and when to ask again where an older one of
-- another process goes first. A refusal is an answer too.
function wishes.tryWish(wish, mayYield)
  local ask = wish.ask
  local session, refusal = house.sessionOfWish(ask, wish.session, wish.first)
  if refusal then
    return refusal
  end
  local way
  way, refusal = pacing.wayOfWish(ask, session, wish.making, wish.spent, wish.mayRepeat)
  if refusal then
    return refusal
  end
  local pause = mayYield and way.exit and pacing.paceOf(ask.account).ready <= now and claims.yieldFor(ask, way, wish.since)
  if pause then
    return nil, way, session, pause
  end
  local id = ask.by ~= '' and (session and session.id or ask.newId) or nil
  if not pacing.dispatch(ask, way, id) then
    return nil, way, session
  end
  if ask.by == '' or way.session or wish.making then
    if session and session.id ~= wish.session then
      house.enterSession(ask.account, session)
    end
    return pacing.go(ask.account, way.exit, session and session.id, wish.making)
  end
  session = house.bringToLife(ask, session, way.exit)
  if session.id ~= wish.session then
    house.enterSession(ask.account, session)
  end
  return pacing.go(ask.account, way.exit, session.id, true)
end
