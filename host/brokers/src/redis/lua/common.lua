-- What every script begins with: its arguments one after another, the server's clock in milliseconds, and what is kept until a time.
local at = 0
local function take()
  at = at + 1
  return ARGV[at]
end
local function number()
  return tonumber(take())
end
local function text(n)
  return string.format('%.0f', n)
end
local function clock()
  local time = redis.call('TIME')
  return tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)
end
-- A slot that moves to another node of a cluster has some of its keys here and others there, and a script would break off in its middle, at the
-- first that is not here. Two keys that are nowhere tell it before anything is written.
local function is_moving(key)
  local none = 'longshore:{' .. (string.match(key, '{(.-)}') or key) .. '}:none:'
  local looked = redis.pcall('EXISTS', none .. '1', none .. '2')
  return type(looked) == 'table' and looked.err and string.find(looked.err, 'non local key', 1, true)
end
if KEYS[1] and is_moving(KEYS[1]) then
  return redis.error_reply('TRYAGAIN the slot moves to another node')
end
-- Rounded up: a delay is a floor.
local function due_at(now, delay)
  return delay == 0 and now or now + delay + 1
end
-- What is known of a kept message from before, as the kind's prelude lists it.
local function read_facts(kept, id)
  local facts = redis.call('HGET', kept, 'f:' .. id)
  if not facts then
    return nil
  end
  local parts = {}
  for part in string.gmatch(facts, '%S+') do
    parts[#parts + 1] = part
  end
  return parts
end
local function write_facts(kept, id, facts)
  redis.call('HSET', kept, 'f:' .. id, table.concat(facts, ' '))
end
-- Milliseconds until the first of what waits in sorted sets is due; below 0 where nothing waits.
local function soonest_of(sets, now)
  local soonest = -1
  for _, set in ipairs(sets) do
    local first = redis.call('ZRANGE', set, 0, 0, 'WITHSCORES')
    if first[2] then
      local wait = math.max(0, tonumber(first[2]) - now)
      soonest = soonest < 0 and wait or math.min(soonest, wait)
    end
  end
  return soonest
end
