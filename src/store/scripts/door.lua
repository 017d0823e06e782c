-- Who comes in and who leaves: seats, and the session each request is in. More of `house`.

function house.seatsOf(account)
  return tonumber(call('HGET', SEATS, account) or 0)
end

function house.freeSeats(account, count)
  if call('HINCRBY', SEATS, account, -count) <= 0 then
    call('HDEL', SEATS, account)
  end
end

-- The end of requests. From ARGV[at] on, four a request: account, session or '', '1' = made by this request, upstream whose
-- result was returned or ''.
function house.leaveAll(at)
  for i = at, #ARGV, 4 do
    local account = ARGV[i]
    if base.give('s' .. SEP .. account) then
      house.freeSeats(account, 1)
    end
    local session = house.readSession(account, ARGV[i + 1])
    if session then
      if ARGV[i + 2] == '1' and ARGV[i + 3] ~= '' and session.exit ~= '' and base.infoOf(ARGV[i + 3]) then
        house.bind(session, ARGV[i + 3])
      end
      house.leaveSession(account, session, base.give('r' .. SEP .. account .. SEP .. session.id) and 1 or 0)
    end
  end
end

-- Session before seat before overload (H-07): the session, or nil, or nil and a refusal.
function house.knock(ask, overloaded)
  local one, refusal = house.lookUp(ask)
  if refusal then
    return nil, refusal
  end
  local shown = one and one.exit ~= '' and one.id or nil
  if ask.maxConnections and house.seatsOf(ask.account) >= ask.maxConnections then
    return nil, base.refuse('too_many_conns', shown)
  end
  if overloaded then
    return nil, base.refuse('serverbusy', shown, 5000)
  end
  return one
end

function house.seat(account)
  call('HINCRBY', SEATS, account, 1)
  base.take('s' .. SEP .. account)
end

-- The session of a waiting or repeated request by now; a named one that ended is made anew with its turn (U-11).
function house.sessionOfWish(ask, id, first)
  if ask.by == '' then
    return nil
  end
  local one = house.knownSession(ask.account, id)
  if one then
    return one
  end
  if ask.by ~= 'name' or not first then
    return nil, base.refuse('bad_session_id', id)
  end
  return house.lookUp(ask)
end

-- A dispatched request gets its session: made, or bound to the upstream it goes through. Answers its id.
function house.bringToLife(ask, one, exit)
  if not one then
    return house.makeSession(ask.account, ask.newId, house.nameOf(ask), exit)
  end
  house.bind(one, exit)
  house.keep(ask.account, one)
  return one
end
