-- Takes messages: what stands in the list, and what waited and is due. KEYS: a lane's. ARGV: consumer, lease, how many, whether what waited comes
-- first, and whether to look after what else has a time to come: delayed messages, and consumers that are gone.
-- Answers: new ones, number and message in turn; others, each with its facts; milliseconds until there is more, below 0 where unknown; and how
-- many were taken from consumers that are gone. Writes begin with what needs no memory, so that a full server can be emptied.
local topic, queue, readers, alive, landed, held, due, kept, later = unpack(KEYS)
local consumer, lease, room, waited_first, look = take(), take(), number(), take(), take()
if redis.call('PEXPIRE', alive, lease) == 0 then
  return redis.error_reply('LOST the queue: its consumer was taken for gone')
end
local now, fresh, waited = clock(), {}, {}

local function take_waited(count)
  if count <= 0 then
    return
  end
  for _, n in ipairs(redis.call('ZRANGEBYSCORE', due, '-inf', text(now), 'LIMIT', 0, count)) do
    redis.call('ZREM', due, n)
    local item, facts = redis.call('HGET', kept, 'm:' .. n), read_facts(kept, n)
    redis.call('HDEL', kept, 'm:' .. n)
    if item and facts then
      facts[2] = text(tonumber(facts[2]) + 1)
      write_facts(kept, n, facts)
      redis.call('HSET', held, n, item)
      waited[#waited + 1] = { n, facts[1], facts[2], facts[3], facts[4], facts[5], item }
    end
  end
end

-- What a wait for messages has moved stands before what the list has, and is anybody's.
local function take_fresh(count)
  for _, list in ipairs({ landed, topic }) do
    local items = count > 0 and redis.call('RPOP', list, count) or {}
    for _, item in ipairs(items) do
      local n = number_of(item)
      if not n then
        n = text(reserve(queue, 1) + 1)
        item = stamp(n, field('payload', item) .. field('timestamp', text(now)))
      end
      fresh[#fresh + 1] = n
      fresh[#fresh + 1] = item
    end
    count = count - #items
  end
  for from = 1, #fresh, 2 * PAIRS do
    redis.call('HSET', held, unpack(fresh, from, math.min(from + 2 * PAIRS - 1, #fresh)))
  end
end

if waited_first == '1' then
  take_waited(room)
  take_fresh(room - #waited)
else
  take_fresh(room)
  take_waited(room - #fresh / 2)
end
if look ~= '1' then
  return { fresh, waited, -1, 0 }
end

local moved = redis.call('ZRANGEBYSCORE', later, '-inf', text(now), 'LIMIT', 0, 500)
local bodies = {}
for i, member in ipairs(moved) do
  bodies[i] = string.match(member, '^%d+ (.*)$')
end
if #bodies > 0 then
  push(topic, queue, bodies)
  redis.call('ZREM', later, unpack(moved))
end

local returned, stem = 0, #consumer
for _, reader in ipairs(redis.call('SMEMBERS', readers)) do
  if redis.call('EXISTS', string.sub(alive, 1, #alive - stem) .. reader) == 0 then
    returned = returned + give_back(string.sub(held, 1, #held - stem) .. reader, due, kept, now, 1)
    redis.call('SREM', readers, reader)
  end
end

-- Of what was moved just now there may be more.
local next = #moved > 0 and 0 or soonest_of({ due, later }, now)
return { fresh, waited, next, returned }
