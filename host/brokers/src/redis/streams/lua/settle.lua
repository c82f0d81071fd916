-- One round: what is finished, what comes again, what is published with it, what the dedup inbox remembers. KEYS: stream, due, kept, seat, then stream, later and
-- later-kept of each topic that is published to. Nothing is written before everything that can be refused was looked at.
local stream, due, kept, seat = KEYS[1], KEYS[2], KEYS[3], KEYS[4]
local group, consumer, exclusive, lease = take(), take(), take(), take()
if not is_free(seat, consumer, exclusive) then
  return redis.error_reply('LOST the seat of the group')
end
for i = 5, #KEYS, 3 do
  local kind = redis.call('TYPE', KEYS[i]).ok
  if kind ~= 'stream' and kind ~= 'none' then
    return { -1, (i - 5) / 3 }
  end
end

local low, high = take(), take()
local finished, entries = {}, {}
for i = 1, number() do
  finished[i] = take()
  entries[i] = finished[i]
end
local ended = {}
for i = 1, number() do
  local id, deliveries = take(), take()
  ended[i] = { id, held(kept, id, deliveries, consumer) }
end
local fresh = {}
for i = 1, number() do
  fresh[i] = { take(), number(), take(), take() }
  entries[#entries + 1] = fresh[i][1]
end
local older = {}
for i = 1, number() do
  local id, deliveries = take(), take()
  older[i] = { id, held(kept, id, deliveries, consumer), number(), take(), take() }
end
local ours = owned(stream, group, consumer, low, high, entries)

local now, stale, trimmed, soonest = clock(), 0, 0, -1
local function wait(id, delay)
  redis.call('ZADD', due, text(due_at(now, delay)), id)
  if soonest < 0 or delay < soonest then
    soonest = delay
  end
end
local function lives(origin)
  return origin == 0 or (origin > 0 and ours[finished[origin]]) or (origin < 0 and ended[-origin][2])
end
for _ = 1, number() do
  local topic, origin, delay, count = number(), number(), number(), number()
  local from = at + 1
  at = at + count
  if lives(origin) then
    local key = 5 + topic * 3
    if delay == 0 then
      redis.call('XADD', KEYS[key], '*', unpack(ARGV, from, at))
    else
      publish_later(KEYS[key], KEYS[key + 1], KEYS[key + 2], now, delay, { unpack(ARGV, from, at) })
    end
  end
end
-- What the dedup inbox remembers, and what it does not. What another has by now is that one's to settle.
if at < #ARGV then
  local start, window = take(), take()
  for _ = 1, number() do
    local key, claimant, done, origin = start .. take(), take(), number(), number()
    if done == 1 and lives(origin) then
      redis.call('SET', key, DONE, 'PX', window)
    else
      give_back(key, claimant)
    end
  end
end

local acked = {}
for _, again in ipairs(fresh) do
  local id, delay, attempt, first = unpack(again)
  local deliveries = ours[id]
  local entry = deliveries and redis.call('XRANGE', stream, id, id)[1]
  if entry then
    redis.call('HSET', kept, 'm:' .. id, cmsgpack.pack(entry[2]))
    write_facts(kept, id, { id, attempt, deliveries, 0, 0, first, '-' })
    wait(id, delay)
    acked[#acked + 1] = id
  elseif deliveries then
    trimmed = trimmed + 1
    acked[#acked + 1] = id
  else
    stale = stale + 1
  end
end
for _, again in ipairs(older) do
  local id, facts, delay, attempt, first = again[1], again[2], again[3], again[4], again[5]
  if facts then
    write_facts(kept, id, { facts[1], attempt, facts[3], 0, facts[5], first, '-' })
    wait(id, delay)
  else
    stale = stale + 1
  end
end
-- Of the finished, who is another's: counted from 1, retries below 0.
local lost = {}
for i, id in ipairs(finished) do
  if ours[id] then
    acked[#acked + 1] = id
  else
    lost[#lost + 1] = i
  end
end
for i, retry in ipairs(ended) do
  if retry[2] then
    end_retry(due, kept, retry[1])
  else
    lost[#lost + 1] = -i
  end
end
for from = 1, #acked, 1000 do
  redis.call('XACK', stream, group, unpack(acked, from, math.min(from + 999, #acked)))
end
-- Last: the server refuses what needs memory as long as nothing was written, and not any more then.
has_seat(seat, consumer, exclusive, lease)
return { stale + #lost, trimmed, soonest, lost }
