-- In place of `house` where the house is on another node of a cluster: what the house said of a request's session comes
-- with its ask. The session's upstream stands for its id or name ('' = in the making), its id for the new one; session
-- 'no' = the house refused it, with that condition.
local house = {}
local idleMs

function house.sessionOf(ask)
  if ask.by == '' then
    return nil
  end
  if ask.by == 'no' then
    return nil, base.refuse(ask.value, ask.newId)
  end
  return { id = ask.newId, exit = ask.value }
end

function house.sessionIn(ask)
  return house.sessionOf(ask)
end

function house.sessionOfWish(ask)
  return house.sessionOf(ask)
end

function house.knock(ask)
  return house.sessionOf(ask)
end

function house.bringToLife(_, one)
  return one
end

-- The house has seen to the rest.
function house.leaveAll() end
function house.seat() end
function house.enterSession() end
function house.makeSession() end
function house.nameOf() end
