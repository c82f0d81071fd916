-- What the scripts share that find messages in a list by their numbers. The newest stands first, so numbers fall from there on. What
-- somebody else pushed has none, and counts as the next older one that has.
local NEAR, STEP = 1000, 50
-- The number of the element at an index or the next behind it that has one, and where that stands; 0 where there is none near.
local function numbered(list, from, to)
  for at = from, math.min(to, from + NEAR) - 1, STEP do
    local items = redis.call('LRANGE', list, at, math.min(at + STEP, to) - 1)
    for i, item in ipairs(items) do
      local n = number_of(item)
      if n then
        return tonumber(n), at + i - 1
      end
    end
  end
  return 0, to - 1
end
-- Index of the newest element whose number is at most n, or the list's length.
local function find(list, n)
  local low, high = 0, redis.call('LLEN', list)
  while low < high do
    local middle = math.floor((low + high) / 2)
    local found, at = numbered(list, middle, high)
    if found <= n then
      high = middle
    else
      low = at + 1
    end
  end
  return low
end
-- Index of the message with that number; nothing where it is not there. What others pushed after it counts as it does.
local function place_of(list, n)
  local found, at = numbered(list, find(list, n), redis.call('LLEN', list))
  return found == n and at or nil
end
-- Takes the message with that number out of a list. Says whether it was there.
local function take_out(list, n)
  local index = place_of(list, tonumber(n))
  if not index then
    return false
  end
  local mark = 'longshore/removed ' .. n
  redis.call('LSET', list, index, mark)
  return redis.call('LREM', list, 1, mark) == 1
end
