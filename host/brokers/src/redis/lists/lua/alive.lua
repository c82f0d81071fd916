-- Makes a message one of a queue that waited and is due now.
local function make_alive(queue, due, kept, redrives, body)
  local new = text(reserve(queue, 1) + 1)
  redis.call('HSET', kept, 'm:' .. new, stamp(new, body))
  write_facts(kept, new, { 1, 0, 0, redrives, 0 })
  redis.call('ZADD', due, text(clock()), new)
end
