-- What the scripts of a queue share. A message has a number, which the queue's hash counts; while a consumer has it, it stands under that
-- number in a hash of the consumer's. What waits for its time stands in the hash of kept messages, 'm:<number>', and in a sorted set by that
-- time. What is known of it from before, 'f:<number>', stays there also while a consumer has it: attempt, deliveries, unanswered, redrives,
-- first failure.
local MARK = 'longshore/1 '
-- Pairs in one command: a script can pass on some thousand arguments.
local PAIRS = 1000
local function stamp(number, body)
  return MARK .. text(number) .. ' ' .. body
end
-- The number of a message that the host published, as text; nothing where somebody else pushed it.
local function number_of(item)
  return string.match(item, '^longshore/1 (%d+) ')
end
-- One field, as two netstrings.
local function field(name, value)
  return #name .. ':' .. name .. ',' .. #value .. ':' .. value .. ','
end
local function is_list(key)
  local kind = redis.call('TYPE', key).ok
  return kind == 'list' or kind == 'none'
end
-- Lanes that began before it begin anew.
local function begin_era(queue)
  local time = redis.call('TIME')
  redis.call('HSET', queue, 'era', time[1] .. '.' .. time[2])
end
-- The first number of a queue is the clock's, with 2048 to a millisecond: one that is made again counts on above the one that was there, and
-- a Lua number holds it until 2109. Says whether the queue is new.
local function make(queue)
  if redis.call('HEXISTS', queue, 'n') == 1 then
    return false
  end
  redis.call('HSET', queue, 'n', text(clock() * 2048))
  begin_era(queue)
  return true
end
-- The number before so many that nobody has.
local function reserve(queue, count)
  make(queue)
  return redis.call('HINCRBY', queue, 'n', count) - count
end
-- Appends messages, and answers the number before the first of them.
local function push(topic, queue, bodies)
  local before, items = reserve(queue, #bodies), {}
  for i, body in ipairs(bodies) do
    items[#items + 1] = stamp(before + i, body)
    if #items == PAIRS or i == #bodies then
      redis.call('LPUSH', topic, unpack(items))
      items = {}
    end
  end
  return before
end
-- Keeps a message until its time, and answers its number. It gets another when it is appended; its id is what its publisher knows.
local function publish_later(topic, queue, later, now, delay, has_id, body)
  local n = text(reserve(queue, 1) + 1)
  if has_id ~= '1' then
    body = body .. field('id', topic .. '/' .. n)
  end
  redis.call('ZADD', later, text(due_at(now, delay)), n .. ' ' .. body)
  return n
end
-- Whatever somebody has is anybody's from now on. `unanswered` counts it as handed over with no outcome. Answers how many.
local function give_back(held, due, kept, now, unanswered)
  local pairs_of = redis.call('HGETALL', held)
  for i = 1, #pairs_of, 2 do
    local n = pairs_of[i]
    local facts = read_facts(kept, n) or { 1, 1, 0, 0, 0 }
    facts[3] = text(tonumber(facts[3]) + unanswered)
    redis.call('HSET', kept, 'm:' .. n, pairs_of[i + 1])
    write_facts(kept, n, facts)
    redis.call('ZADD', due, text(now), n)
  end
  redis.call('DEL', held)
  return #pairs_of / 2
end
