-- A page of a list. KEYS: list. ARGV: 'after' or 'before', a position, how many. A message of the host's has its number for a position, one
-- of somebody else's how many stand behind it, and one.
local way, position, count = take(), take(), number()
if not is_list(KEYS[1]) then
  return redis.error_reply('WRONGTYPE the key is no list')
end
local list, length, at = KEYS[1], redis.call('LLEN', KEYS[1]), tonumber(position)
local FOREIGN = 1099511627776
local from
if way == 'after' then
  local newer = at < FOREIGN and length - at or place_of(list, at) or find(list, at)
  from = math.max(0, newer - count)
  count = math.min(count, newer)
else
  from = at < FOREIGN and length - at + 1 or find(list, at - 1)
end
local page = {}
if count > 0 and from >= 0 then
  for i, item in ipairs(redis.call('LRANGE', list, from, from + count - 1)) do
    page[i] = { number_of(item) or text(length - (from + i - 1)), item }
  end
end
if way == 'after' then
  for i = 1, math.floor(#page / 2) do
    page[i], page[#page + 1 - i] = page[#page + 1 - i], page[i]
  end
end
return page
