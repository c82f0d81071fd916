-- What there is besides new entries: delayed messages whose time has come go into the stream, retries that are due and entries whose
-- owner is gone go to this consumer. KEYS: stream, due, kept, seat, later, later-kept.
local stream, due, kept, seat, later, later_kept = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5], KEYS[6]
local group, consumer, exclusive, lease, room, claim, watch = take(), take(), take(), take(), number(), take(), take()
if not has_seat(seat, consumer, exclusive, lease) then
  return redis.error_reply('LOST the seat of the group')
end
local now, trimmed = clock(), 0
local MOVED = 500

local places = redis.call('ZRANGEBYSCORE', later, '-inf', text(now), 'LIMIT', 0, MOVED)
for _, place in ipairs(places) do
  local packed = redis.call('HGET', later_kept, 'm:' .. place)
  if packed then
    redis.call('XADD', stream, '*', unpack(cmsgpack.unpack(packed)))
    redis.call('HDEL', later_kept, 'm:' .. place)
  end
  redis.call('ZREM', later, place)
end

local retries = {}
for _, id in ipairs(redis.call('ZRANGEBYSCORE', due, '-inf', text(now), 'LIMIT', 0, room)) do
  local facts, packed = read_facts(kept, id), redis.call('HGET', kept, 'm:' .. id)
  if facts and packed then
    facts[3] = text(tonumber(facts[3]) + 1)
    if facts[7] ~= '-' then
      facts[4] = text(tonumber(facts[4]) + 1)
    end
    facts[7] = consumer
    write_facts(kept, id, facts)
    redis.call('ZADD', due, text(now + tonumber(lease)), id)
    retries[#retries + 1] = { id, facts[1], facts[2], facts[3], facts[4], facts[5], facts[6], cmsgpack.unpack(packed) }
  else
    end_retry(due, kept, id)
  end
end

local claimed = {}
local function take_over(pending, idle)
  local id = pending[1]
  local entry = redis.call('XCLAIM', stream, group, consumer, idle, id)[1]
  if entry then
    claimed[#claimed + 1] = { id, pending[4] + 1, entry[2] }
  else
    redis.call('XACK', stream, group, id)
    trimmed = trimmed + 1
  end
end
if claim == 'all' then
  -- Who sits alone has what others left, however short ago: without the seat they can settle nothing.
  local PAGE, from = 100, '-'
  repeat
    local page = redis.call('XPENDING', stream, group, from, '+', PAGE)
    for _, pending in ipairs(page) do
      if pending[2] ~= consumer and #claimed < room then
        take_over(pending, 0)
      end
      from = '(' .. pending[1]
    end
  until #page < PAGE or #claimed >= room
elseif claim == 'old' and room > #retries then
  for _, pending in ipairs(redis.call('XPENDING', stream, group, 'IDLE', lease, '-', '+', room - #retries)) do
    take_over(pending, lease)
  end
end

local unread, last, added = 0, '', 0
if watch == '1' then
  unread, last, added = gone_unread(stream, group, kept)
end
return { soonest_of({ due, later }, now), trimmed, #places, retries, claimed, unread, last, added }
