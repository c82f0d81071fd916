-- One round: what is finished, what comes again, what is published with it. KEYS: a lane's, then list, queue and later of each topic that is
-- published to. Nothing is written before everything that can be refused was looked at.
local held, due, kept = KEYS[6], KEYS[7], KEYS[8]
local LANE = 9
for i = LANE + 1, #KEYS, 3 do
  if not is_list(KEYS[i]) then
    return { -1, (i - LANE - 1) / 3 }
  end
end
local has_facts = redis.call('EXISTS', kept) == 1
-- Whether that delivery is this consumer's, and what is known of the message from before.
local function look(n, deliveries)
  if redis.call('HEXISTS', held, n) == 0 then
    return false
  end
  local facts = has_facts and read_facts(kept, n) or nil
  return (facts and facts[2] or '1') == deliveries, facts
end

local finished = {}
for i = 1, number() do
  local n, deliveries = take(), take()
  local ours, facts = look(n, deliveries)
  finished[i] = { n, ours, facts }
end
local again = {}
for i = 1, number() do
  local n, deliveries = take(), take()
  local ours, facts = look(n, deliveries)
  again[i] = { n, ours, facts, number(), take(), take() }
end

local now, stale, soonest = clock(), 0, -1
local outgoing = {}
for _ = 1, number() do
  local topic, origin, delay, has_id, body = number(), number(), number(), take(), take()
  if origin == 0 or finished[origin][2] then
    local key = LANE + 1 + topic * 3
    if delay > 0 then
      publish_later(KEYS[key], KEYS[key + 1], KEYS[key + 2], now, delay, has_id, body)
    else
      outgoing[key] = outgoing[key] or {}
      table.insert(outgoing[key], body)
    end
  end
end
for key, bodies in pairs(outgoing) do
  push(KEYS[key], KEYS[key + 1], bodies)
end

for _, one in ipairs(again) do
  local n, ours, facts, delay, attempt, first = unpack(one, 1, 6)
  if ours then
    redis.call('HSET', kept, 'm:' .. n, redis.call('HGET', held, n))
    write_facts(kept, n, { attempt, facts and facts[2] or 1, 0, facts and facts[4] or 0, first })
    redis.call('ZADD', due, text(due_at(now, delay)), n)
    redis.call('HDEL', held, n)
    if soonest < 0 or delay < soonest then
      soonest = delay
    end
  else
    stale = stale + 1
  end
end
-- Of the finished, who is another's: counted from 0.
local lost = {}
for i, one in ipairs(finished) do
  local n, ours, facts = unpack(one, 1, 3)
  if ours then
    redis.call('HDEL', held, n)
    if facts then
      redis.call('HDEL', kept, 'f:' .. n)
    end
  else
    lost[#lost + 1] = i - 1
  end
end
return { stale + #lost, soonest, lost }
