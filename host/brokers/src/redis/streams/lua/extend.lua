-- Extends what this consumer holds, and takes nothing that it lost. KEYS: stream, due, kept, seat. Answers how many it lost to others, and how
-- many were deleted. What was trimmed is left as it is: the server forgets an entry that is claimed and not there, and then its message could not
-- be settled by whoever has it.
local stream, due, kept, seat = KEYS[1], KEYS[2], KEYS[3], KEYS[4]
local group, consumer, exclusive, lease, low, high = take(), take(), take(), take(), take(), take()
if not has_seat(seat, consumer, exclusive, lease) then
  return redis.error_reply('LOST the seat of the group')
end
local ids = {}
for i = 1, number() do
  ids[i] = take()
end
local ours, mine, there = owned(stream, group, consumer, low, high, ids), 0, {}
local first = #ids > 0 and fields_of(redis.call('XINFO', 'STREAM', stream))['recorded-first-entry-id']
for _, id in ipairs(ids) do
  if ours[id] then
    mine = mine + 1
    if first ~= '0-0' and not is_below(id, first) then
      there[#there + 1] = id
    end
  end
end
local deleted = #there
for from = 1, #there, 1000 do
  local command = { unpack(there, from, math.min(from + 999, #there)) }
  command[#command + 1] = 'JUSTID'
  deleted = deleted - #redis.call('XCLAIM', stream, group, consumer, 0, unpack(command))
end
local now, lost = clock(), #ids - mine
for _ = 1, number() do
  local id, deliveries = take(), take()
  if held(kept, id, deliveries, consumer) then
    redis.call('ZADD', due, text(now + tonumber(lease)), id)
  else
    lost = lost + 1
  end
end
return { lost, deleted }
