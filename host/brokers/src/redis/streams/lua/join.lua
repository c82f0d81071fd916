-- Makes stream and group where they are missing, and joins. KEYS: stream, due, kept, seat, era. Answers whether the seat is somebody
-- else's, whether the group is new, the era, what waits for a retry, and how many entries are gone that the host has seen.
local stream, due, kept, seat, era = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5]
local group, consumer, exclusive, lease, start, broadcast, forgotten = take(), take(), take(), take(), take(), take(), number()
local last, added = take(), number()
local known, groups = false, {}
if redis.call('EXISTS', stream) == 1 then
  groups = redis.call('XINFO', 'GROUPS', stream)
end
for _, info in ipairs(groups) do
  local name = info[2]
  if name == group then
    known = true
  end
  local consumers = redis.call('XINFO', 'CONSUMERS', stream, name)
  local alive = false
  for _, c in ipairs(consumers) do
    local gone = c[6] > forgotten and string.sub(c[2], 1, 10) == 'longshore-'
    alive = alive or not gone
    if gone and c[4] == 0 and name == group then
      redis.call('XGROUP', 'DELCONSUMER', stream, name, c[2])
    end
  end
  -- A broadcast that its host could not end.
  if string.sub(name, 1, #broadcast) == broadcast and not alive and #consumers > 0 then
    redis.call('XGROUP', 'DESTROY', stream, name)
    local stem = #group
    redis.call('DEL', string.sub(due, 1, #due - stem) .. name, string.sub(kept, 1, #kept - stem) .. name)
  end
end
if not known then
  if start == '' then
    return redis.error_reply('NOSTART the group has no position')
  end
  redis.call('XGROUP', 'CREATE', stream, group, start, 'MKSTREAM')
  redis.call('HDEL', kept, 'at')
end
-- Before anybody reads, and before more can go.
entries_read(stream, kept, fields_of(redis.call('XINFO', 'STREAM', stream)), group_of(stream, group))
if not has_seat(seat, consumer, exclusive, lease) then
  return { 0, known and 0 or 1, '', {}, 0 }
end
redis.call('XGROUP', 'CREATECONSUMER', stream, group, consumer)
local waiting = {}
if exclusive == '1' then
  for _, id in ipairs(redis.call('ZRANGE', due, 0, -1)) do
    local facts, packed = read_facts(kept, id), redis.call('HGET', kept, 'm:' .. id)
    if facts and packed then
      local fields, key = cmsgpack.unpack(packed), false
      for i = 1, #fields, 2 do
        if fields[i] == 'key' then
          key = fields[i + 1]
        end
      end
      waiting[#waiting + 1] = { facts[1], key }
    end
  end
end
local gone = known and last ~= '' and gone_back(stream, last, added) or 0
return { 1, known and 0 or 1, redis.call('GET', era) or '', waiting, gone }
