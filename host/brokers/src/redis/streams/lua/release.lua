-- A consumer leaves: what it has is anybody's at once, and nothing is counted for it. KEYS: stream, due, kept, seat.
local stream, due, kept, seat = KEYS[1], KEYS[2], KEYS[3], KEYS[4]
local group, consumer, alone, lease = take(), take(), take(), number()
if redis.call('GET', seat) == consumer then
  redis.call('DEL', seat)
end
local here = false
if redis.call('EXISTS', stream) == 1 then
  for _, info in ipairs(redis.call('XINFO', 'GROUPS', stream)) do
    here = here or info[2] == group
  end
end
if alone == '1' then
  if here then
    redis.call('XGROUP', 'DESTROY', stream, group)
  end
  return redis.call('DEL', due, kept)
end
-- What it has ends its lease within one: nothing else has to be looked at, and not without bound.
local now = clock()
for _, id in ipairs(redis.call('ZRANGEBYSCORE', due, text(now), text(now + lease), 'LIMIT', 0, 10000)) do
  local facts = read_facts(kept, id)
  if facts and facts[7] == consumer then
    facts[7] = '-'
    write_facts(kept, id, facts)
    redis.call('ZADD', due, text(now), id)
  end
end
if not here then
  return 0
end
while true do
  local pending = redis.call('XPENDING', stream, group, '-', '+', 1000, consumer)
  if #pending == 0 then
    break
  end
  local command = {}
  for i, p in ipairs(pending) do
    command[i] = p[1]
  end
  -- To a consumer that never reads, idle for a day and as if never handed over: the next that looks has it.
  for _, word in ipairs({ 'IDLE', 86400000, 'RETRYCOUNT', 0, 'JUSTID' }) do
    command[#command + 1] = word
  end
  redis.call('XCLAIM', stream, group, 'longshore-returned', 0, unpack(command))
end
return redis.call('XGROUP', 'DELCONSUMER', stream, group, consumer)
