-- Extends what this consumer holds, and takes nothing that it lost. KEYS: stream, due, kept, seat.
local stream, due, kept, seat = KEYS[1], KEYS[2], KEYS[3], KEYS[4]
local group, consumer, exclusive, lease, low, high = take(), take(), take(), take(), take(), take()
if not has_seat(seat, consumer, exclusive, lease) then
  return redis.error_reply('LOST the seat of the group')
end
local ids = {}
for i = 1, number() do
  ids[i] = take()
end
local ours, mine = owned(stream, group, consumer, low, high, ids), {}
for _, id in ipairs(ids) do
  if ours[id] then
    mine[#mine + 1] = id
  end
end
for from = 1, #mine, 1000 do
  local command = { unpack(mine, from, math.min(from + 999, #mine)) }
  command[#command + 1] = 'JUSTID'
  redis.call('XCLAIM', stream, group, consumer, 0, unpack(command))
end
local now = clock()
for _ = 1, number() do
  local id, deliveries = take(), take()
  if held(kept, id, deliveries, consumer) then
    redis.call('ZADD', due, text(now + tonumber(lease)), id)
  end
end
return #ids - #mine
