-- What the scripts of a stream share. A kept message is two fields of a hash: 'm:<id>' is its fields, packed, 'f:<id>' its facts:
-- place, attempt, deliveries, unanswered, redrives, first failure, owner. Its time to come stands in a sorted set. While somebody has it,
-- that time is the end of the lease, so that it comes again by itself when the somebody is gone.
-- Lanes that began before it begin anew.
local function begin_era(era, remember)
  local time = redis.call('TIME')
  redis.call('SET', era, time[1] .. time[2], 'EX', remember)
end
-- Acknowledges what anybody of the group has.
local function finish_all(stream, group)
  while true do
    local pending = redis.call('XPENDING', stream, group, '-', '+', 1000)
    if #pending == 0 then
      return
    end
    local ids = {}
    for i, p in ipairs(pending) do
      ids[i] = p[1]
    end
    redis.call('XACK', stream, group, unpack(ids))
  end
end
-- Whether the group's only seat is not somebody else's.
local function is_free(seat, consumer, exclusive)
  return exclusive ~= '1' or (redis.call('GET', seat) or consumer) == consumer
end
-- Takes the seat, keeps it, or says that it is somebody else's. Keeping it needs no memory.
local function has_seat(seat, consumer, exclusive, lease)
  if not is_free(seat, consumer, exclusive) then
    return false
  end
  if exclusive == '1' and redis.call('PEXPIRE', seat, lease) == 0 then
    redis.call('SET', seat, consumer, 'PX', lease)
  end
  return true
end
-- How often each of `ids`, all between low and high, was handed over, for those that are pending with this consumer.
local FEW = 8
local function owned(stream, group, consumer, low, high, ids)
  local ours = {}
  if #ids == 0 then
    return ours
  end
  local function note(pending)
    for _, p in ipairs(pending) do
      ours[p[1]] = p[4]
    end
  end
  if #ids > FEW then
    note(redis.call('XPENDING', stream, group, low, high, 1000000, consumer))
  else
    for _, id in ipairs(ids) do
      note(redis.call('XPENDING', stream, group, id, id, 1, consumer))
    end
  end
  return ours
end
-- The facts of a kept message, if this consumer has it by that delivery.
local function held(kept, id, deliveries, consumer)
  local facts = read_facts(kept, id)
  if facts and facts[7] == consumer and facts[3] == deliveries then
    return facts
  end
end
-- Forgets a kept message.
local function end_retry(due, kept, id)
  redis.call('ZREM', due, id)
  redis.call('HDEL', kept, 'f:' .. id, 'm:' .. id)
end
-- Gives a stream that has nothing in it yet.
local function make_stream(stream)
  if redis.call('EXISTS', stream) == 0 then
    redis.call('XGROUP', 'CREATE', stream, 'longshore-made', '$', 'MKSTREAM')
    redis.call('XGROUP', 'DESTROY', stream, 'longshore-made')
  end
end
-- What the server tells of a stream or a group, by name.
local function fields_of(flat)
  local fields = {}
  for i = 1, #flat, 2 do
    fields[flat[i]] = flat[i + 1]
  end
  return fields
end
-- What the server tells of one group.
local function group_of(stream, name)
  for _, flat in ipairs(redis.call('XINFO', 'GROUPS', stream)) do
    local one = fields_of(flat)
    if one['name'] == name then
      return one
    end
  end
end
-- Keeps a message until its time. One without an id gets one, so that the publisher knows it already.
local function publish_later(stream, later, kept, now, delay, fields)
  local id
  for i = 1, #fields, 2 do
    if fields[i] == 'id' then
      id = fields[i + 1]
    end
  end
  make_stream(stream)
  local place = text(now) .. '-' .. string.format('%012d', redis.call('HINCRBY', kept, 'n', 1))
  if not id then
    id = place .. '-later'
    fields[#fields + 1] = 'id'
    fields[#fields + 1] = id
  end
  redis.call('HSET', kept, 'm:' .. place, cmsgpack.pack(fields))
  redis.call('ZADD', later, text(due_at(now, delay)), place)
  return id
end
