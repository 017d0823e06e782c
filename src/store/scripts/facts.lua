-- In place of `house` where the house is on another node of a cluster: what the house said of a request's session comes
-- with its ask. The session's upstream stands for its id or name ('' = in the making), its id for the new one; session
-- 'no' = the house refused it, with that condition.
local idleMs

local function sessionOf(ask)
  if ask.by == '' then
    return nil
  end
  if ask.by == 'no' then
    return nil, refuse(ask.value, ask.newId)
  end
  return { id = ask.newId, exit = ask.value }
end

local function sessionIn(ask)
  return sessionOf(ask)
end

local function sessionOfWish(ask)
  return sessionOf(ask)
end

local function knock(ask)
  return sessionOf(ask)
end

local function bringToLife(_, one)
  return one
end

-- The house has seen to the rest.
local function seat() end
local function enterSession() end
local function makeSession() end
local function nameOf() end
